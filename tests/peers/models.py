"""Small models with random weights, in folders of the model hubs' layout, and what the
transformers package makes of texts and pictures with them."""
import json

import numpy
import torch
from PIL import Image
from transformers import BertConfig, BertForMaskedLM, BertModel, CLIPConfig, CLIPModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

import tokens


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
    """A CLIPModel and its folder. `eos`: the config's eos_token_id if it is not the end mark's."""
    torch.manual_seed(seed)
    config = CLIPConfig(
        text_config=dict(vocab_size=len(vocabulary), bos_token_id=vocabulary[tokens.START],
                         eos_token_id=vocabulary[tokens.END] if eos is None else eos, **text),
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


def make_bert(folder, vocabulary, settings, pooling, seed, head=False):
    """A BertModel and its folder in the sentence-transformers package's layout; with `head` saved
    as part of a larger model, which names its tensors otherwise."""
    torch.manual_seed(seed)
    config = BertConfig(vocab_size=len(vocabulary), **settings)
    whole = BertForMaskedLM(config) if head else BertModel(config, add_pooling_layer=False)
    spread(whole.eval(), seed)
    round_weights(whole)
    whole.save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({
        "word_embedding_dimension": settings["hidden_size"],
        **{f"pooling_mode_{mode}": mode == pooling
           for mode in ("mean_tokens", "cls_token", "max_tokens")}}))
    return whole.bert if head else whole


@torch.no_grad()
def bert_texts(model, ids, pooling):
    """Unit vectors of lists of ids, each alone."""
    pool = {"mean_tokens": lambda x: x.mean(1), "cls_token": lambda x: x[:, 0],
            "max_tokens": lambda x: x.max(1).values}[pooling]
    return unit(torch.cat([pool(model(
        input_ids=torch.tensor([i]), attention_mask=torch.ones(1, len(i), dtype=torch.long)
    ).last_hidden_state) for i in ids]))


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
    processor = CLIPImageProcessorPil.from_pretrained(folder)
    return unit(torch.cat([model.get_image_features(
        pixel_values=processor(Image.fromarray(p), return_tensors="pt")["pixel_values"]
    ).pooler_output for p in pictures]))
