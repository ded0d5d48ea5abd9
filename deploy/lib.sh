# Sourced by the scripts of this folder: where things are, how they speak, packages by group.
# shellcheck shell=bash disable=SC2034

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/isthmus
logs=$cache/log
build=$top/build
faiss_version=1.7.3

say() { printf '== %s\n' "$*" >&2; }
die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Runs as root: directly, or through sudo.
as_root() {
	if ((EUID == 0)); then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "root is needed for: $* (no sudo here)"
	fi
}

# logged NAME COMMAND…: output goes to a file, of which a failure shows the end.
logged() {
	local log=$logs/$1.log
	shift
	mkdir -p "$logs"
	"$@" >"$log" 2>&1 </dev/null || {
		tail -n 30 "$log" >&2
		die "failed: $* (all of it: $log)"
	}
}

# As many as there are cores, but no more than one a GB of free memory.
n_jobs() {
	local cores gb
	cores=$(nproc)
	gb=$(awk '/^MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
	((gb > 0)) || gb=1
	echo $((cores < gb ? cores : gb))
}

# What -march is given: $ISTHMUS_CPU, or the best of the x86-64 levels that both this machine and
# its C library know; "" elsewhere.
cpu_level() {
	local loader=/lib64/ld-linux-x86-64.so.2 level
	if [[ -n ${ISTHMUS_CPU:-} || $(uname -m) != x86_64 ]]; then
		echo "${ISTHMUS_CPU:-}"
		return
	fi
	for level in x86-64-v3 x86-64-v2; do
		if "$loader" --help | grep -q "^  $level (supported"; then
			echo "$level"
			return
		fi
	done
	echo x86-64
}

# packages_of GROUP…: the names in packages.txt whose groups hold one of these.
packages_of() {
	local name groups rest group
	while read -r name groups rest; do
		for group in "$@"; do
			if [[ $name != \#* && ,$groups, == *,$group,* ]]; then
				echo "$name"
				break
			fi
		done
	done <"$top/deploy/packages.txt"
}

missing_packages() {
	local name
	for name in $(packages_of "$@"); do
		[[ $(dpkg-query -W -f '${Status}' "$name" 2>/dev/null) == *' installed' ]] ||
			echo "$name"
	done
}

# need_packages GROUP…: installs what is missing of them; does nothing where nothing is.
need_packages() {
	local missing apt
	mapfile -t missing < <(missing_packages "$@")
	((${#missing[@]})) || return 0
	say "installing ${#missing[@]} Debian packages: ${missing[*]}"
	apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600)
	logged apt-update as_root "${apt[@]}" update
	logged apt-install as_root "${apt[@]}" install --no-install-recommends "${missing[@]}"
}

# What meson is told: where FAISS stands, then the arguments.
meson_here() {
	local path=$cache/faiss/lib/pkgconfig
	PKG_CONFIG_PATH=$path${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH} meson "$@"
}

# configure [OPTION…]: makes $build what meson can compile in; options hold from then on.
configure() {
	if [[ ! -f $build/build.ninja ]]; then
		rm -rf "$build"
		logged meson meson_here setup "$build" "$top" "$@"
	elif (($#)); then
		logged meson meson_here configure "$build" "$@"
	fi
}

# Where a daemon that is started from $build looks for encoders.
link_encoders() { ln -sfn "$cache/encoders" "$build/encoders"; }

# compile_all, or compile TARGET…
compile_all() { logged compile meson_here compile -C "$build" -j "$(n_jobs)"; }
compile() { logged compile meson_here compile -C "$build" -j "$(n_jobs)" "$@"; }
