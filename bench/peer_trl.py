"""The other side of bench/step.ts: TRL's GRPOTrainer. One line of JSON asks, one line answers; a step is done when asked.

Not a benchmark of ours: the trainer as a user would set it up for speed on this machine (no checkpointing, one batch
for all completions, no KL, no vLLM, which needs a GPU). Its prompts are words of a made-up tokenizer, one token each.
"""

import json
import os
import random
import sys
import tempfile
import time

os.environ["HF_HUB_OFFLINE"] = "1"
answers, sys.stdout = sys.stdout, sys.stderr  # what the trainer prints is no answer

import datasets
import tokenizers
import torch
import transformers
import trl


def answer(what):
    print(json.dumps(what), file=answers, flush=True)


def read():
    line = sys.stdin.readline()
    if not line:
        os._exit(0)
    return json.loads(line)


class Gate(transformers.TrainerCallback):
    """Lets a step begin when it is asked for."""

    def on_step_begin(self, *_, **__):
        while (request := read())["call"] != "step":
            answer(getattr(self, request["call"])())
        self.start = time.perf_counter()

    def on_step_end(self, *_, **__):
        answer({"seconds": time.perf_counter() - self.start})

    def forget(self):
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        return {}

    def peak(self):
        with open("/proc/self/status") as file:
            line = next(line for line in file if line.startswith("VmHWM:"))
        return {"peakMiB": int(line.split()[1]) / 1024}


def make_tokenizer(size):
    model = tokenizers.models.WordLevel({f"t{i}": i for i in range(size)}, unk_token="t0")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="t0", pad_token="t0")


def reward(completions, **_):
    return [random.random() for _ in completions]


def open_trainer(model, dtype, threads, device, batch, prompt, group, **sizes):
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    torch.set_num_threads(threads)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(
        model, dtype={"fp32": torch.float32, "bf16": torch.bfloat16}[dtype]
    )
    size = loaded.config.vocab_size
    prompts = [" ".join(f"t{random.randrange(1, size)}" for _ in range(prompt)) for _ in range(4096)]
    tokenizer = make_tokenizer(size)
    assert len(tokenizer(prompts[0])["input_ids"]) == prompt
    config = trl.GRPOConfig(
        output_dir=tempfile.mkdtemp(),
        use_cpu=device == "cpu",
        bf16=False,  # the weights are in the dtype that is asked for; no autocast above them
        gradient_checkpointing=False,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=1,
        num_generations=group,
        max_completion_length=sizes["new"],
        beta=0.0,
        learning_rate=1e-5,
        lr_scheduler_type="constant",
        max_steps=4096,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    return trl.GRPOTrainer(
        model=loaded,
        reward_funcs=reward,
        args=config,
        train_dataset=datasets.Dataset.from_dict({"prompt": prompts}),
        processing_class=tokenizer,
        callbacks=[Gate()],
    )


request = read()
assert request.pop("call") == "open"
trainer = open_trainer(**request)
answer({"torch": torch.__version__, "transformers": transformers.__version__, "trl": trl.__version__})
trainer.train()
