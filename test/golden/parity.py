"""The other side of test/golden/parity.test.ts: Hugging Face transformers writes checkpoints, and reads ours.

    python parity.py write FOLDER          one checkpoint per family and FOLDER/expected.json
    python parity.py read IDS FOLDER...    log-probs of a row of ids under each checkpoint, as JSON on stdout

Everything is computed in float32; how the weights are stored is another matter.
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers

ROWS = ((5, 40), (1, 7))  # rows of ids to score, and how long they are
NEW = 24

SHARED = {"bos_token_id": None, "eos_token_id": None, "initializer_range": 0.05}
MODELS = {
    "qwen3": {
        "config": {
            "vocab_size": 3001,
            "hidden_size": 192,
            "intermediate_size": 416,
            "num_hidden_layers": 5,
            "num_attention_heads": 6,
            "num_key_value_heads": 3,
            "head_dim": 48,
            "max_position_embeddings": 1024,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
            "tie_word_embeddings": True,
        },
        "dtype": torch.bfloat16,
        "shard": "5GB",
    },
    "qwen2": {
        "config": {
            "vocab_size": 2500,
            "hidden_size": 160,
            "intermediate_size": 352,
            "num_hidden_layers": 4,
            "num_attention_heads": 5,
            "num_key_value_heads": 1,
            "max_position_embeddings": 1024,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e5},
            "tie_word_embeddings": False,
        },
        "dtype": torch.float16,
        "shard": "1MB",
    },
    # 137 million parameters.
    "llama": {
        "config": {
            "vocab_size": 40000,
            "hidden_size": 768,
            "intermediate_size": 2048,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "num_key_value_heads": 4,
            "max_position_embeddings": 4096,
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 5e5,
                "factor": 16.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 256,
            },
            "tie_word_embeddings": False,
        },
        "dtype": torch.bfloat16,
        "shard": "50MB",
    },
}


def load(folder):
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    wrong = {key: sorted(map(str, value)) for key, value in info.items() if value}
    assert not wrong, f"{folder}: {wrong}"
    return model.eval()


@torch.no_grad()
def log_probs(model, row):
    logits = model(torch.tensor([row])).logits[0, :-1]
    return torch.log_softmax(logits, -1).gather(-1, torch.tensor(row[1:])[:, None])[:, 0].tolist()


@torch.no_grad()
def greedy(model, row):
    """Ids, and how much better each is than the next best."""
    ids = torch.tensor([row])
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        generation_config=transformers.GenerationConfig(do_sample=False, max_new_tokens=NEW, pad_token_id=0),
        return_dict_in_generate=True,
        output_logits=True,
    )
    best = [step[0].topk(2).values for step in out.logits]
    return out.sequences[0, len(row) :].tolist(), [float(two[0] - two[1]) for two in best]


def write(folder):
    expected = {}
    for name, spec in MODELS.items():
        torch.manual_seed(7)
        config = transformers.AutoConfig.for_model(name, **SHARED, **spec["config"])
        model = transformers.AutoModelForCausalLM.from_config(config).to(spec["dtype"])
        path = os.path.join(folder, name)
        model.save_pretrained(path, max_shard_size=spec["shard"])
        parameters = sum(p.numel() for p in model.parameters())
        model = load(path)
        rows = [torch.randint(0, config.vocab_size, (length,)).tolist() for count, length in ROWS for _ in range(count)]
        said = [greedy(model, row) for row in rows]
        expected[name] = {
            "parameters": parameters,
            "rows": rows,
            "logp": [log_probs(model, row) for row in rows],
            "greedy": [ids for ids, _ in said],
            "margins": [margins for _, margins in said],
        }
    with open(os.path.join(folder, "expected.json"), "w") as f:
        json.dump({"transformers": transformers.__version__, "models": expected}, f)


transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()
if sys.argv[1] == "write":
    write(sys.argv[2])
else:
    print(json.dumps([log_probs(load(folder), json.loads(sys.argv[2])) for folder in sys.argv[3:]]))
