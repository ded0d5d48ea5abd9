"""Tokenisers by the `tokenizers` package, and the tool that runs this program's own."""
import json
import pathlib
import struct
import subprocess

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

START, END = "<|startoftext|>", "<|endoftext|>"
PATTERN = (r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d"
           r"|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")


def byte_alphabet():
    """The 256 characters of bytes, in the order of the vocabulary."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b) for b in plain] + [chr(256 + i) for i in range(256 - len(plain))]


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


def write_bpe(folder, merges, specials_last=True):
    """vocab.json and merges.txt; gives {piece: id}."""
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


def clip(folder, max_length):
    """What transformers' CLIPTokenizer is made of; special tokens in a text are text."""
    vocabulary = json.loads((folder / "vocab.json").read_text())
    lines = (folder / "merges.txt").read_text().split("\n")[1:]
    tokenizer = Tokenizer(models.BPE(
        vocab=vocabulary, merges=[tuple(line.split(" ")) for line in lines if line],
        end_of_word_suffix="</w>", unk_token=END))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), behavior="removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.post_processor = processors.RobertaProcessing(
        (END, vocabulary[END]), (START, vocabulary[START]), False, False)
    tokenizer.enable_truncation(max_length)
    return tokenizer


def bert(vocabulary, lower=True):
    """What transformers' BertTokenizer is made of; "[CLS]" in a text is text."""
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]",
                                           max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    return tokenizer


def train_pieces(texts, n, lower=True):
    """A WordPiece vocabulary learnt from texts: {piece: id}."""
    tokenizer = bert({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2}, lower)
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(
        vocab_size=n, show_progress=False,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda piece: piece[1])
    return {piece: i for i, (piece, _) in enumerate(pieces)}


def write_vocabulary(folder, vocabulary, lower=True):
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in vocabulary))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lower}))


def write_stub(folder):
    """What makes a folder an encoder's, without a tensor: for its tokeniser alone."""
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")


def their_ids(tokenizer, texts):
    return [e.ids for e in tokenizer.encode_batch(texts)]


def our_ids(tool, folder, texts, max_length):
    done = subprocess.run([tool, folder, "ids", str(max_length)], stdout=subprocess.PIPE,
                          input=json.dumps(texts).encode(), check=True)
    return json.loads(done.stdout)


def captions(root=pathlib.Path("/usr/share/tuxpaint/stamps")):
    """Every caption of the stamps in every language, once."""
    lines = set()
    for path in root.rglob("*.txt"):
        for line in path.read_text(errors="replace").split("\n"):
            lines.add(line.split(".utf8=", 1)[-1])
    return sorted(lines)
