"""This program's encoders against the transformers package on small models with random weights,
other ones at every run: sizes, depths, activations, dtypes, shards.

usage: compare_models.py TOOL [SEED]   ends with the line "N passed, N failed"
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import numpy
import torch

import compare_tokens
import models
import tokens

TOLERANCE = 1e-5
ACTS = ["quick_gelu", "gelu", "gelu_new", "gelu_pytorch_tanh"]


def run(tool, folder, *args, data):
    done = subprocess.run([tool, folder, *map(str, args)], input=data, check=True,
                          stdout=subprocess.PIPE)
    return numpy.frombuffer(done.stdout, numpy.float32)


def tower(draw):
    heads = draw.randint(1, 6)
    return dict(hidden_size=heads * draw.choice([4, 8, 13, 16, 32]), num_attention_heads=heads,
                intermediate_size=draw.randint(5, 200), num_hidden_layers=draw.randint(1, 5),
                hidden_act=draw.choice(ACTS), layer_norm_eps=draw.choice([1e-5, 1e-6, 1e-3]))


def pictures(draw):
    for _ in range(4):
        shape = draw.randint(1, 150), draw.randint(1, 150), 3
        yield numpy.frombuffer(draw.randbytes(shape[0] * shape[1] * 3), numpy.uint8).reshape(shape)
    for _ in range(4):
        y, x = numpy.mgrid[0:draw.randint(20, 300), 0:draw.randint(20, 300)]
        waves = [120 + 110 * numpy.sin(x / draw.uniform(4, 60) + y / draw.uniform(4, 60))
                 for _ in range(3)]
        yield numpy.stack(waves, 2).astype(numpy.uint8)


def clip(tool, folder, seed):
    """The largest differences in both towers."""
    draw = random.Random(seed)
    merges = tokens.train_merges(draw.sample(compare_tokens.CAPTIONS, 2000), draw.randint(0, 900))
    vocabulary = tokens.write_bpe(folder, merges, specials_last=draw.random() < .5)
    text, vision = tower(draw), tower(draw)
    text["max_position_embeddings"] = draw.randint(3, 77)
    vision["patch_size"] = draw.randint(3, 16)
    vision["image_size"] = vision["patch_size"] * draw.randint(1, 8) + draw.randint(0, 2)
    model = models.make_clip(folder, vocabulary, text, vision, draw.randint(3, 70), seed,
                             eos=draw.choice([None, None, 2]))
    dtype = draw.choice([torch.float32, torch.float16, torch.bfloat16])
    shards = {"max_shard_size": "20KB"} if draw.random() < .3 else {}
    (folder / "model.safetensors").unlink()
    model.to(dtype).save_pretrained(folder, **shards)
    model.float()

    texts = draw.sample(compare_tokens.CAPTIONS, 40) + [""]
    ids = tokens.their_ids(tokens.clip(folder, text["max_position_embeddings"]), texts)
    wanted = models.clip_texts(model, ids)
    ours = run(tool, folder, "texts", data=json.dumps(texts).encode()).reshape(wanted.shape)
    shown = list(pictures(draw))
    seen = models.clip_images(model, folder, shown)
    looked = numpy.stack([run(tool, folder, "image", p.shape[1], p.shape[0], data=p.tobytes())
                          for p in shown])
    return {f"{dtype} {text['hidden_act']} texts": abs(ours - wanted).max(),
            f"{vision['image_size']}/{vision['patch_size']} {vision['hidden_act']} pictures":
            abs(looked - seen).max()}


def bert(tool, folder, seed):
    """The largest difference."""
    draw = random.Random(seed)
    lower = draw.random() < .7
    vocabulary = tokens.train_pieces(draw.sample(compare_tokens.CAPTIONS, 2000),
                                     draw.randint(500, 3000), lower)
    settings = tower(draw)
    settings["hidden_act"] = draw.choice(["gelu", "gelu_new", "gelu_pytorch_tanh", "relu"])
    settings["layer_norm_eps"] = draw.choice([1e-12, 1e-5])
    settings["max_position_embeddings"] = draw.randint(3, 100)
    settings["type_vocab_size"] = draw.randint(1, 3)
    pooling = draw.choice(["mean_tokens", "cls_token", "max_tokens"])
    model = models.make_bert(folder, vocabulary, settings, pooling, seed, draw.random() < .3)
    tokens.write_vocabulary(folder, vocabulary, lower)
    tokenizer = tokens.bert(vocabulary, lower)
    tokenizer.enable_truncation(settings["max_position_embeddings"])

    texts = draw.sample(compare_tokens.CAPTIONS, 40) + [""]
    wanted = models.bert_texts(model, tokens.their_ids(tokenizer, texts), pooling)
    ours = run(tool, folder, "texts", data=json.dumps(texts).encode()).reshape(wanted.shape)
    return {f"{pooling} {settings['hidden_act']} texts": abs(ours - wanted).max()}


KINDS = {"clip": clip, "bert": bert}


def main():
    tool = sys.argv[1]
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(2 ** 31)
    passed = failed = 0
    torch.set_num_threads(1)
    for i in range(6):
        for kind, compare in KINDS.items():
            with tempfile.TemporaryDirectory() as folder:
                differences = compare(tool, pathlib.Path(folder), seed + i)
            for what, difference in differences.items():
                good = bool(difference <= TOLERANCE)
                print(f"{kind} {seed + i}: {what}: {difference:.1e}{'' if good else ' FAILED'}",
                      flush=True)
                passed += good
                failed += not good
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
