"""Ids of this program's tokenisers against those of the `tokenizers` package, over the stamps'
captions in all languages, every character, alone and between letters, and random strings.

Characters are those that Python's Unicode assigns, which is older than both programs'. The
package's WordPiece has tables of its own that are older still: there they are those that have not
changed since Unicode 3.2, which Python knows too.

usage: compare_tokens.py TOOL [VOCAB.TXT…]   ends with the line "N passed, N failed"
"""
import pathlib
import random
import sys
import tempfile
import unicodedata

import tokens

CAPTIONS = tokens.captions()
CHARACTERS = [c for c in map(chr, range(0x30000))
              if unicodedata.category(c) not in ("Cn", "Cs", "Co")]


OLD_CHARACTERS = [c for c in CHARACTERS
                  if unicodedata.ucd_3_2_0.category(c) == unicodedata.category(c)]


def random_strings(n, characters, seed=1):
    """Of captions' letters, of any characters, of ASCII's nastier half, of marks on letters."""
    draw = random.Random(seed)
    letters = "".join(CAPTIONS)
    ascii_ = "abcAB'sStTrRvVmMlLdD012 \t!?.,'"
    for i in range(n):
        length = draw.randrange(60)
        if i % 4 == 0:
            yield "".join(draw.choice(letters) for _ in range(length))
        elif i % 4 == 1:
            yield "".join(draw.choice(characters) for _ in range(length))
        elif i % 4 == 2:
            yield "".join(draw.choice(ascii_) for _ in range(length))
        else:
            yield "".join(draw.choice(letters) + draw.choice(["\u0301", "\u0327", ""])
                          for _ in range(length))


def compare(tool, name, folder, tokenizer, max_length, characters):
    """The number of lists of texts in which all ids are equal, and of those in which not."""
    tokenizer.enable_truncation(max_length)
    lists = {
        "captions": CAPTIONS,
        "characters": characters,
        "characters between letters": [f"a{c}b" for c in characters],
        "random strings": list(random_strings(20000, characters)),
    }
    failed = 0
    for what, texts in lists.items():
        ours = tokens.our_ids(tool, folder, texts, max_length)
        theirs = tokens.their_ids(tokenizer, texts)
        bad = [i for i, text in enumerate(texts) if ours[i] != theirs[i]]
        print(f"{name}, at most {max_length}: {len(texts)} {what}, {len(bad)} differ", flush=True)
        for i in bad[:5]:
            print(f"  {texts[i]!a:.100}: {ours[i][:12]}, they: {theirs[i][:12]}")
        failed += bool(bad)
    return len(lists) - failed, failed


def vocabularies(paths):
    """(name, {piece: id}, lower): learnt ones, and those of files."""
    yield "WordPiece", tokens.train_pieces(CAPTIONS, 6000), True
    yield "WordPiece, cased", tokens.train_pieces(CAPTIONS, 6000, False), False
    for path in map(pathlib.Path, paths):
        pieces = path.read_text().split("\n")[:-1]
        yield path.parent.name, {piece: i for i, piece in enumerate(pieces)}, True


def wordpiece(tool, folder, name, vocabulary, lower):
    tokens.write_vocabulary(folder, vocabulary, lower)
    return compare(tool, name, folder, tokens.bert(vocabulary, lower), 128, OLD_CHARACTERS)


def main():
    tool = sys.argv[1]
    assert CAPTIONS, "the stamps are not installed (tuxpaint-stamps-default)"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        tokens.write_stub(folder)
        results = [wordpiece(tool, folder, name, vocabulary, lower)
                   for name, vocabulary, lower in vocabularies(sys.argv[2:])]
        tokens.write_bpe(folder, tokens.train_merges(CAPTIONS, 8000))
        results.append(compare(tool, "BPE", folder, tokens.clip(folder, 77), 77, CHARACTERS))
    passed, failed = (sum(column) for column in zip(*results))
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
