#!/usr/bin/env bash
# FAISS from Debian's own source package, as static libraries with the C API; run by setup.
#   faiss.sh TARGET LEVEL     makes the folder TARGET for that level of x86-64 ("": no flag)
#
# Debian's binary package has neither the C API's objects nor AVX. The source is fetched by a
# private apt configuration beside the target, so that the machine's own stays as it is. meson
# finds the result by TARGET/lib/pkgconfig. The folder appears by one rename after everything
# else, so that a build that was cut is simply done again.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

openblas=/usr/lib/$(uname -m)-linux-gnu/openblas-openmp

# Where this machine gets Debian 12 from, by apt's own account of its sources.
debian_mirror() {
	local uri
	# shellcheck disable=SC2016 # apt's placeholders
	uri=$(apt-get indextargets --format '$(REPO_URI)' \
		'Created-By: Packages' 'Label: Debian' 'Codename: bookworm' 2>/dev/null | head -n 1)
	echo "${uri:-http://deb.debian.org/debian/}"
}

# fetch_source FOLDER: unpacks the package's source at FOLDER/faiss-VERSION.
fetch_source() {
	local own=$1/apt keyring=/usr/share/keyrings/debian-archive-keyring.gpg options
	mkdir -p "$own/lists/partial" "$own/cache/archives/partial"
	echo "deb-src [signed-by=$keyring] $(debian_mirror) bookworm main" >"$own/sources.list"
	options=(-q -o "Dir::Etc::sourcelist=$own/sources.list" -o Dir::Etc::sourceparts=-
		-o "Dir::State::Lists=$own/lists" -o "Dir::Cache=$own/cache"
		-o "APT::Sandbox::User=$(id -un)" -o Acquire::Languages=none)
	apt-get "${options[@]}" update
	cd "$1" && apt-get "${options[@]}" source faiss
	[[ -d $1/faiss-$faiss_version ]]
}

# compile_faiss SOURCE BUILD PREFIX LEVEL
compile_faiss() {
	cmake -S "$1" -B "$2" -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$3" \
		-DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_CXX_FLAGS="${4:+-march=$4}" \
		-DCMAKE_POSITION_INDEPENDENT_CODE=ON -DBUILD_SHARED_LIBS=OFF -DBUILD_TESTING=OFF \
		-DFAISS_ENABLE_C_API=ON -DFAISS_ENABLE_PYTHON=OFF -DFAISS_ENABLE_GPU=OFF \
		-DFAISS_OPT_LEVEL=generic -DBLAS_LIBRARIES="$openblas/libopenblas.so" \
		-DLAPACK_LIBRARIES="$openblas/libopenblas.so"
	cmake --build "$2" --target faiss faiss_c -j "$(n_jobs)"
	cmake --install "$2"
	cp "$2/c_api/libfaiss_c.a" "$3/lib/" # which has no install rule
}

# pkgconfig_faiss PREFIX LEVEL: `march` is for those who compile with it.
pkgconfig_faiss() {
	mkdir -p "$1/lib/pkgconfig"
	cat >"$1/lib/pkgconfig/faiss_c.pc" <<-END
		prefix=\${pcfiledir}/../..
		march=$2

		Name: faiss_c
		Description: FAISS with its C API, static
		Version: $faiss_version
		Libs: -L\${prefix}/lib -lfaiss_c -lfaiss -L$openblas -lopenblas -lgomp -lstdc++ -lm
		Cflags: -I\${prefix}/include -I\${prefix}/include/faiss/c_api
	END
}

# try_faiss PREFIX: a C program that links with it and runs.
try_faiss() {
	local flags
	read -ra flags < <(PKG_CONFIG_PATH=$1/lib/pkgconfig pkg-config --cflags --libs faiss_c)
	cc -o "$1.try" -x c - -x none "${flags[@]}" <<-END
		#include <faiss/c_api/IndexFlat_c.h>
		int main(void)
		{
			FaissIndexFlat *index;
			return faiss_IndexFlat_new_with(&index, 4, METRIC_INNER_PRODUCT);
		}
	END
	"$1.try"
}

target=$1 level=$2
work=$target.part
rm -rf "$work"
mkdir -p "$work"
(fetch_source "$work")
compile_faiss "$work/faiss-$faiss_version" "$work/build" "$work/out" "$level"
pkgconfig_faiss "$work/out" "$level"
try_faiss "$work/out"
sync -f "$work/out"
mv -T "$work/out" "$target"
rm -rf "$work"
