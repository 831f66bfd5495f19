# The same build through node-gyp (npx node-gyp rebuild): no target of its own, it has cmake-js build CMakeLists.txt.
{
  "targets": [{
    "target_name": "tarl_cmake",
    "type": "none",
    "actions": [{
      "action_name": "cmake_js",
      "inputs": ["CMakeLists.txt", "<!@(find native -type f)"],
      "outputs": ["<(PRODUCT_DIR)/tarl.node"],
      "action": ["node", "node_modules/cmake-js/bin/cmake-js", "build", "-O", "build/cmake"]
    }]
  }]
}
