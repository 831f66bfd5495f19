"""The other side of bench/sandbox.ts, which starts it: tau-bench's own environment, imported from a checkout.

One line of JSON asks, one line answers. Not a benchmark of its customers: litellm, through which tau-bench calls the
model that plays them, is replaced by somebody who says nothing at no cost.
"""

import gc
import json
import pickle
import platform
import sys
import time
from hashlib import sha256
from types import ModuleType, SimpleNamespace

import pydantic


def silence(**_):
    message = SimpleNamespace(content="", model_dump=lambda: {"role": "assistant", "content": ""})
    return SimpleNamespace(choices=[SimpleNamespace(message=message)], _hidden_params={"response_cost": 0.0})


def written(tasks):
    """Tasks with their calls as JSON text, so that 1 and 1.0 stay apart."""
    return [
        {
            "instruction": task.instruction,
            "actions": [{"name": action.name, "arguments": json.dumps(action.kwargs)} for action in task.actions],
            "outputs": task.outputs,
        }
        for task in tasks
    ]


class Peer:
    def open(self, checkout):
        litellm = ModuleType("litellm")
        litellm.completion = silence
        sys.modules["litellm"] = litellm
        sys.path.insert(0, checkout)
        from tau_bench.envs.airline.tasks_test import TASKS as AIRLINE
        from tau_bench.envs.retail.env import MockRetailDomainEnv
        from tau_bench.envs.retail.tasks_test import TASKS_TEST
        from tau_bench.types import Action

        self.action = Action
        self.env = MockRetailDomainEnv(user_model="none", user_provider="none", task_split="train", task_index=0)
        self.fresh = pickle.dumps(self.env.data)
        versions = {"python": platform.python_version(), "pydantic": pydantic.VERSION}
        return {"versions": versions, "train": written(self.env.tasks), "test": written(TASKS_TEST), "airline": written(AIRLINE)}

    def prepare(self, calls):
        """The calls that `calls` makes, as a model writes them."""
        self.prepared = [(call["name"], call["arguments"]) for call in calls]
        return {}

    def calls(self, passes):
        """All calls in their order, `passes` times, each time on fresh data, which the clock does not count: the best."""
        seconds = float("inf")
        for _ in range(passes):
            self.env.data = pickle.loads(self.fresh)
            self.env.actions = []
            gc.collect()
            observations = []
            start = time.perf_counter()
            for name, arguments in self.prepared:
                observations.append(self.env.step(self.action(name=name, kwargs=json.loads(arguments))).observation)
            seconds = min(seconds, time.perf_counter() - start)
        return {"seconds": seconds, "observations": sha256("\n".join(observations).encode()).hexdigest()}

    def starts(self, count):
        start = time.perf_counter()
        for i in range(count):
            self.env.reset(i)
        return {"seconds": time.perf_counter() - start}

    def replay(self, first, count):
        """Each task from its reset over its own actions to its reward."""
        start = time.perf_counter()
        successes = 0
        for i in range(first, first + count):
            self.env.reset(i)
            for action in self.env.task.actions:
                self.env.step(action)
            successes += self.env.calculate_reward().reward == 1
        return {"seconds": time.perf_counter() - start, "successes": successes}


peer = Peer()
for line in sys.stdin:
    request = json.loads(line)
    answer = getattr(peer, request.pop("call"))(**request)
    print(json.dumps(answer), flush=True)
