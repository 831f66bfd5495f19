"""The other side of the benchmarks: Hugging Face transformers. One line of JSON asks, one line answers.

Not a benchmark of ours: only what a PyTorch user would write, without waste (no padding where there is none, logits only
where they are learnt, the fused optimizer).
"""

import json
import os
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
REPEATS = 7


def clock(device):
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def best(device, work):
    """Seconds of the fastest of some calls, after one to warm up."""
    work()
    times = []
    for _ in range(REPEATS):
        start = clock(device)
        work()
        times.append(clock(device) - start)
    return min(times)


class Clock:
    """A stopping criterion that never stops: notes when each token was there."""

    def __init__(self, device):
        self.device = device
        self.times = []

    def __call__(self, ids, scores, **_):
        self.times.append(clock(self.device))
        return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)


class Peer:
    def ceilings(self, threads, device):
        """GFLOP/s of square products, and GB/s that are read and written in a copy on a GPU."""
        torch.set_num_threads(threads)
        size = 8192 if device == "cuda" else 2048
        rates = {}
        for name, dtype in DTYPES.items():
            a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
            rates[name] = 2 * size**3 / best(device, lambda: torch.mm(a, b)) / 1e9
        memory = None
        if device == "cuda":
            a = torch.empty(2**30, dtype=torch.uint8, device=device)
            b = torch.empty_like(a)
            memory = 2 * a.numel() / best(device, lambda: b.copy_(a)) / 1e9
        return {**rates, "memory": memory}

    def open(self, model, dtype, threads, device, **_):
        import transformers

        transformers.utils.logging.disable_progress_bar()
        transformers.utils.logging.set_verbosity_error()
        torch.set_num_threads(threads)
        self.device = device
        self.model = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=DTYPES[dtype]).to(device)
        self.model.generation_config = transformers.GenerationConfig(do_sample=True, top_k=0, pad_token_id=0)
        self.optimizer = None
        return {"torch": torch.__version__, "transformers": transformers.__version__}

    def forget(self):
        """From here on, `peak` counts anew."""
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        return {}

    def peak(self):
        if self.device == "cuda":
            return {"peakMiB": torch.cuda.max_memory_allocated() / 2**20}
        with open("/proc/self/status") as file:
            line = next(line for line in file if line.startswith("VmHWM:"))
        return {"peakMiB": int(line.split()[1]) / 1024}

    def generate(self, prompts, tokens):
        """Samples at temperature 1 from the whole distribution, with a KV cache and without end-of-text."""
        ids = torch.tensor(prompts, device=self.device)
        self.model.eval()
        marks = Clock(self.device)
        start = clock(self.device)
        out = self.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=tokens,
            stopping_criteria=[marks],
        )
        assert out.shape == (len(prompts), len(prompts[0]) + tokens), out.shape
        return {"first": marks.times[0] - start, "rest": marks.times[-1] - marks.times[0]}

    def train(self, rows, learnt, lr, beta1, beta2, eps, weightDecay, maxGradNorm, **_):
        """One step; the loss is the mean of -log p over the last `learnt` tokens of each row, all of one length."""
        if self.optimizer is None:
            self.optimizer = torch.optim.AdamW(
                self.model.parameters(), lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weightDecay, fused=True
            )
        ids = torch.tensor(rows, device=self.device)
        self.model.train()
        start = clock(self.device)
        logits = self.model(input_ids=ids, use_cache=False, logits_to_keep=learnt + 1).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), ids[:, -learnt:].flatten())
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), maxGradNorm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return {"seconds": clock(self.device) - start, "loss": loss.item(), "gradNorm": norm.item()}

    @torch.no_grad()
    def logprob(self, rows):
        """Log-probs of all tokens but each row's first, as GRPO trainers take them, row by row over the vocabulary."""
        ids = torch.tensor(rows, device=self.device)
        self.model.eval()
        start = clock(self.device)
        logits = self.model(input_ids=ids, use_cache=False).logits[:, :-1]
        logp = torch.stack(
            [
                row.float().gather(-1, own[1:, None]).squeeze(-1) - row.float().logsumexp(-1)
                for row, own in zip(logits, ids)
            ]
        )
        return {"seconds": clock(self.device) - start, "mean": logp.mean().item()}


peer = Peer()
for line in sys.stdin:
    request = json.loads(line)
    answer = getattr(peer, request.pop("call"))(**request)
    print(json.dumps(answer), flush=True)
