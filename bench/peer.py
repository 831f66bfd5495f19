"""The other side of bench/transformers.ts, which starts it: one line of JSON asks, one line answers.

Not a benchmark of ours: only what a PyTorch user would write. Everything is on the CPU, in fp32.
"""

import json
import os
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from torch.nn.utils.rnn import pad_sequence

IGNORED = -100  # what transformers leaves out of a loss


class Peer:
    def open(self, model, threads):
        transformers.utils.logging.disable_progress_bar()
        transformers.utils.logging.set_verbosity_error()
        torch.set_num_threads(threads)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
        self.model.generation_config = transformers.GenerationConfig(do_sample=True, top_k=0, pad_token_id=0)
        self.optimizer = None
        return {"torch": torch.__version__, "transformers": transformers.__version__}

    def decode(self, prompts, tokens):
        """Samples at temperature 1 from the whole distribution, with a KV cache and without end-of-text."""
        ids = torch.tensor(prompts)
        self.model.eval()
        start = time.perf_counter()
        out = self.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens)
        seconds = time.perf_counter() - start
        assert out.shape == (len(prompts), len(prompts[0]) + tokens), out.shape
        return {"seconds": seconds}

    def train(self, rows, lr, beta1, beta2, eps, weightDecay, maxGradNorm, **_):
        """One step on rows padded to the longest; the loss is the mean over the tokens that are learnt."""
        if self.optimizer is None:
            self.optimizer = torch.optim.AdamW(
                self.model.parameters(), lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weightDecay, fused=True
            )
        ids = [torch.tensor(row["ids"]) for row in rows]
        learnt = [torch.tensor(row["learnt"]) for row in rows]
        labels = [torch.where(mask, row, IGNORED) for row, mask in zip(ids, learnt)]
        batch = {
            "input_ids": pad_sequence(ids, batch_first=True),
            "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
            "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
        }
        self.model.train()
        start = time.perf_counter()
        loss = self.model(**batch, use_cache=False).loss
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), maxGradNorm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "loss": loss.item(), "gradNorm": norm.item()}


peer = Peer()
for line in sys.stdin:
    request = json.loads(line)
    answer = getattr(peer, request.pop("call"))(**request)
    print(json.dumps(answer), flush=True)
