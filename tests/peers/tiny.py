"""Small models with random weights, in folders of the model hubs' layout: CLIP and BERT."""
import json
import pathlib

import numpy
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPConfig, CLIPModel

START, END = "<|startoftext|>", "<|endoftext|>"


def train_merges(texts, n_merges):
    """The merge list of a byte-level encoding learnt from texts: [("a", "b</w>"), ...]."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=1000 + n_merges, show_progress=False, end_of_word_suffix="</w>",
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    return [tuple(m) for m in json.loads(tokenizer.to_str())["model"]["merges"]][:n_merges]


def byte_alphabet():
    """The 256 characters of bytes, in the order of the vocabulary."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b) for b in plain] + [chr(256 + i) for i in range(256 - len(plain))]


def write_bpe(folder, merges, specials_last=True):
    """vocab.json and merges.txt; the number of ids."""
    letters = byte_alphabet()
    pieces = letters + [c + "</w>" for c in letters]
    if not specials_last:
        pieces += [START, END]
    seen = set(pieces)
    for left, right in merges:
        if left + right not in seen:
            seen.add(left + right)
            pieces.append(left + right)
    if specials_last:
        pieces += [START, END]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    return vocabulary


def spread(model, seed):
    """Weights as lively as trained ones: the initial ones leave most of a model near zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if "norm" in name.lower():
                p.copy_(noise * .2 + ("weight" in name))
            elif p.dim() > 1:
                p.copy_(noise / (p[0].numel() ** .5 if "embedding" not in name else 2))
            else:
                p.copy_(noise * .3)


def round_weights(model):
    """To numbers that float32, float16 and bfloat16 all hold exactly."""
    with torch.no_grad():
        for p in model.parameters():
            x = p.to(torch.bfloat16).float()
            p.copy_(torch.where(x.abs() < 2 ** -13, torch.zeros_like(x), x))
            assert torch.equal(p, p.to(torch.float16).float())


def make_clip(folder, vocabulary, text, vision, projection, seed, eos=None):
    """A CLIPModel and its folder."""
    torch.manual_seed(seed)
    config = CLIPConfig(
        text_config=dict(vocab_size=len(vocabulary), bos_token_id=vocabulary[START],
                         eos_token_id=vocabulary[END] if eos is None else eos, **text),
        vision_config=vision, projection_dim=projection)
    model = CLIPModel(config).eval()
    spread(model, seed)
    round_weights(model)
    model.save_pretrained(folder)
    side = vision["image_size"]
    (folder / "preprocessor_config.json").write_text(json.dumps({
        "crop_size": {"height": side, "width": side}, "do_center_crop": True,
        "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_processor_type": "CLIPImageProcessor",
        "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3,
        "rescale_factor": 1 / 255, "size": {"shortest_edge": side}}, indent=1))
    return model


def unit(x):
    x = numpy.asarray(x, numpy.float64)
    return (x / numpy.linalg.norm(x, axis=-1, keepdims=True)).astype(numpy.float32)


@torch.no_grad()
def clip_texts(model, ids):
    """Unit vectors of lists of ids, each alone: nothing to pad."""
    return unit(torch.cat([model.get_text_features(
        input_ids=torch.tensor([i]), attention_mask=torch.ones(1, len(i), dtype=torch.long)
    ).pooler_output for i in ids]))


@torch.no_grad()
def clip_images(model, folder, pictures):
    """Unit vectors of arrays (height, width, 3), through Pillow."""
    from PIL import Image
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    processor = CLIPImageProcessorPil.from_pretrained(folder)
    return unit(torch.cat([model.get_image_features(
        pixel_values=processor(Image.fromarray(p), return_tensors="pt")["pixel_values"]
    ).pooler_output for p in pictures]))


def clip_tokenizer(folder):
    from transformers import CLIPTokenizer
    return CLIPTokenizer(vocab=json.loads((pathlib.Path(folder) / "vocab.json").read_text()),
                         merges=[tuple(line.split(" ")) for line in
                                 (pathlib.Path(folder) / "merges.txt").read_text()
                                 .split("\n")[1:] if line])


def clip_ids(tokenizer, texts, max_length):
    """Special tokens that a text holds are text, as in a query."""
    return tokenizer(texts, truncation=True, max_length=max_length,
                     split_special_tokens=True)["input_ids"]
