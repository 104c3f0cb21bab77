# denet-tui: everything from a bare machine to a watched command. `make` lists the targets.
#
# Root is used only to install what the distribution packages, and to load the BPF program; where `make` is not
# root already, sudo is asked, with one line before that says what for. Nothing is fetched when all is there.
VENV := .venv
PREFIX := /opt/denet-tui
LINK := /usr/local/bin/denet-tui
SHARE = $(abspath $(dir $(LINK))/../share)
# What goes there: the manual page, and what completes the command line in bash, zsh and fish.
SHARED := man/man1/denet-tui.1 bash-completion/completions/denet-tui zsh/site-functions/_denet-tui \
    fish/vendor_completions.d/denet-tui.fish
# Debian's fish looks in /usr/share, which is the packages', and in /etc, never in /usr/local.
place = $(patsubst /usr/local/share/fish/vendor_completions.d/%,/etc/fish/completions/%,$(SHARE)/$(1))
KEPT := /var/cache/denet-tui
# Said before sudo runs denet-tui from here.
RISK := this is your checkout, and who can change a file of it can do what root can
# What `make test` runs; `make ci` runs the slow ones, too.
TESTS := not slow and not lab and not bench
# What `make run` watches: some three seconds of files, forks and waiting.
CMD ?= sh -c 'for i in 1 2 3 4 5 6; do ls -lR /etc /usr/bin > /dev/null 2>&1; sleep 0.5; done'

.SHELLFLAGS := -euc
.ONESHELL:
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help run test ci lint bench lab screenshots venv lock install deb uninstall _venv

# Shell functions that the recipes share. $$ is make's way of writing $.
define SH
say() { echo "denet-tui: $$*" >&2; }
fail() { [ -n "$${refused:-}" ] || say "$$@"; exit 1; } # one line is enough: as_root may have said why already
as_root() { why=$$1; shift # as_root WHY COMMAND...
    if [ "$$(id -u)" = 0 ]; then "$$@"
    elif command -v sudo > /dev/null; then say "using sudo $$why"; sudo "$$@"
    else say "root is needed $$why, and this machine has no sudo: run make as root"; refused=yes; return 1
    fi
}
present() { # present NAME: is it on this machine?
    case $$1 in
    bcc) ls /usr/lib*/python3*/*-packages/bcc/libbcc.py /usr/local/lib*/python3*/*-packages/bcc/libbcc.py 2> /dev/null |
        grep -q . ;;
    libc-headers) [ -e /usr/include/stdio.h ] ;;
    mono-font) fc-list 2> /dev/null | grep -q DejaVuSansMono ;;
    python) find_python > /dev/null ;;
    *) PATH=$$PATH:/usr/sbin:/sbin command -v "$$1" > /dev/null ;;
    esac
}
package() { # package NAME: what this distribution calls it
    case $$manager/$$1 in
    apt-get/bcc) echo python3-bpfcc ;; dnf/bcc) echo python3-bcc ;; pacman/bcc) echo python-bcc ;;
    apt-get/python) echo python3-venv ;; dnf/python) echo python3 ;;
    apt-get/libc-headers) echo libc6-dev ;; dnf/libc-headers) echo glibc-devel ;; pacman/libc-headers) echo glibc ;;
    apt-get/perf) echo linux-perf ;; apt-get/syscount-bpfcc) echo bpfcc-tools ;; */syscount-bpfcc) echo bcc-tools ;; */unshare) echo util-linux ;;
    apt-get/setcap) echo libcap2-bin ;; */setcap) echo libcap ;; apt-get/ps) echo procps ;; */ps) echo procps-ng ;;
    dnf/qemu-system-x86_64) echo qemu-system-x86-core ;; */qemu-system-x86_64) echo qemu-system-x86 ;;
    apt-get/sshd) echo openssh-server ;; dnf/sshd) echo openssh-server ;; pacman/sshd) echo openssh ;;
    */mke2fs) echo e2fsprogs ;;
    apt-get/rsvg-convert) echo librsvg2-bin ;; dnf/rsvg-convert) echo librsvg2-tools ;; */rsvg-convert) echo librsvg ;;
    apt-get/mono-font) echo fonts-dejavu-core ;; dnf/mono-font) echo dejavu-sans-mono-fonts ;; */mono-font) echo ttf-dejavu ;;
    *) echo "$$1" ;;
    esac
}
want() { for_what=$$1; shift # want WHY NAME...: installs what is missing; fails, with the rest in $$left, if it cannot
    missing=; packages=; manager=; for one in pacman dnf apt-get; do ! present $$one || manager=$$one; done
    for name; do present "$$name" || { missing="$$missing $$name"; packages="$$packages $$(package "$$name")"; }; done
    [ -n "$$missing" ] || return 0
    [ "$$(id -u)" != 0 ] || say "$$for_what:$$packages"
    case $$manager in
    apt-get) set -- 'apt-get update -qq || true' 'apt-get install -qqy --no-install-recommends' ;;
    dnf) set -- true 'dnf install -y --setopt=install_weak_deps=False' ;;
    pacman) set -- '[ -e /var/lib/pacman/sync/core.db ] || pacman -Sy' 'pacman -S --needed --noconfirm' ;;
    *) say "neither apt-get, dnf nor pacman is here: install$$missing yourself"; left=$$missing; return 1 ;;
    esac
    # All at once; where that fails, one by one, so that one that is not to be had keeps none of the others away.
    as_root "to install$$packages with $$manager" env DEBIAN_FRONTEND=noninteractive sh -c \
        "$$1; $$2$$packages || for one in$$packages; do $$2 \$$one || true; done" || true
    left=; for name in $$missing; do present "$$name" || left="$$left $$name"; done
    [ -z "$$left" ]
}
find_python() { # a Python >= 3.11 that can make virtual environments; fails where there is none
    # The distribution's, where it will do: everybody may run it, and so denet-tui still can when it has become you.
    best=; newest=10; system=$$(PATH=/usr/bin:/bin command -v python3 || true)
    for one in $$system python3 python3.14 python3.13 python3.12 python3.11; do
        minor=$$("$$one" -c 'import ensurepip, venv, sys; print(sys.version_info[1])' 2> /dev/null) || continue
        [ "$$minor" -le "$$newest" ] || { best=$$one; newest=$$minor; }
        [ -z "$$system" ] || [ "$$best" != "$$system" ] || break
    done
    [ -n "$$best" ] && command -v "$$best"
}
pip_install() { # pip_install LOCK: unless that was done with this very lock; pip fetches, and compares hashes
    cmp -s "$$1" "$(VENV)/$$1" && return
    say "installing Python packages into $(VENV)"
    # The lock's own uv, where it has one: it compares the same hashes, in a third of pip's time. Without links into
    # its cache, which give_back would give away with $(VENV).
    pip="$(VENV)/bin/python -I -m pip install --quiet --disable-pip-version-check --require-hashes -r"
    grep -q ^uv== "$$1" && awk '/^[^ #]/ { wanted = /^(uv==|--)/ } wanted' "$$1" | $$pip /dev/stdin &&
        "$(VENV)/bin/uv" pip install --quiet --no-config --compile-bytecode --link-mode copy \
        --python "$(VENV)/bin/python" --require-hashes -r "$$1" || $$pip "$$1"
    cp "$$1" "$(VENV)/$$1"
}
give_back() { # under sudo: what root wrote into the caller's checkout becomes the caller's
    wait # for what may still write
    case $$(id -u)/$${SUDO_UID:-0} in 0/0) ;; "0/$$(stat -c %u .)") chown -hR --from=0 "$$SUDO_UID:$$SUDO_GID" . ;; esac
}
trap give_back EXIT
endef

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

_venv:
	@$(SH)
	if ! "$(VENV)/bin/python" -c 'import pip' 2> /dev/null; then
	    want "installing Python" python ||
	        fail "found no Python >= 3.11 with venv; install one (Ubuntu 22.04: python3.11-venv) and run make again"
	    "$$(find_python)" -m venv --clear "$(VENV)"
	fi
	# Now, as you: else root would, when it runs denet-tui from here, and only root could remove the __pycache__.
	"$(VENV)/bin/python" -m compileall -q denet_tui || true
	# This checkout itself, as it is now and will be; `pip install -e` would first fetch something to build it with.
	cmp -s denet_tui/__main__.py "$(VENV)/bin/denet-tui" && exit
	for site in "$(VENV)"/lib/python3*/site-packages; do pwd > "$$site/denet-tui.pth"; done
	install -m 755 denet_tui/__main__.py "$(VENV)/bin/denet-tui"

venv: _venv ## Make .venv, with denet-tui (editable) and its test tools
	@$(SH)
	pip_install requirements-dev.lock

lock: venv ## Renew requirements*.lock: the newest releases that fit, with the hashes of all their files
	@$(SH)
	lock() {
	    "$(VENV)/bin/uv" pip compile --quiet --no-config --no-cache --upgrade --universal --python-version 3.11 --generate-hashes \
	        --only-binary :all: --emit-build-options --custom-compile-command "make lock" pyproject.toml "$$@"
	}
	lock --extra dev --output-file requirements-dev.lock
	lock --extra serve --constraint requirements-dev.lock --output-file requirements.lock

run: _venv ## Set up what is missing, then watch a demo; make run CMD="make -j2" watches another
	@$(SH)
	want "installing bcc, which compiles the BPF program" bcc || fail "bcc is missing still: see above"
	cmp -s requirements-dev.lock "$(VENV)/requirements-dev.lock" || pip_install requirements.lock
	unset MAKEFLAGS MAKELEVEL MFLAGS # or a watched make would take itself for part of this one
	if [ -t 0 ] && [ -t 1 ]; then screen=; else screen=--no-tui; fi
	as_root "to load the BPF program; $(RISK); the command runs as you" \
	    $(VENV)/bin/denet-tui run $$screen -- $(CMD)

test: venv ## Set up what is missing, lint, then run the tests but for the slow ones; as root for the kernel side
	@$(SH)
	want "installing what the tests use" bcc strace gcc libc-headers bpftool tmux setcap unshare sudo ps sshd ||
	    say "missing still:$$left; the tests that use them will be skipped"
	[ "$$(id -u)" = 0 ] || say "not root: the tests of the kernel side are skipped; sudo make test runs them"
	# Every worker imports all tests: here they are compiled for all of them, beside mypy, which takes as long.
	export PYTHONDONTWRITEBYTECODE=
	$(VENV)/bin/python -m pytest --collect-only -q > /dev/null &
	$(LINT)
	wait
	# Twice as many as there are processors: most of it waits, for kernels, terminals and the ends of commands.
	$(VENV)/bin/python -m pytest -m "$(TESTS)" -n $$(($$(nproc) * 2)) --dist loadfile --no-loadscope-reorder

ci: TESTS := not lab and not bench
ci: test ## What CI runs: the same with the slow tests

define LINT
$(VENV)/bin/ruff check .
$(VENV)/bin/ruff format --check .
$(VENV)/bin/mypy
$(VENV)/bin/lint-imports
endef

lint: venv ## ruff, mypy --strict and the import contracts
	@$(SH)
	$(LINT)

bench: venv ## Measure what watching costs, beside strace and perf (root)
	@$(SH)
	want "installing what to measure against" bcc gcc libc-headers strace perf bpftrace syscount-bpfcc || say "not measured against:$$left"
	as_root "to load BPF programs; $(RISK)" $(VENV)/bin/python -B -m pytest -p no:cacheprovider -m bench -s

lab: venv ## Test on other machines, in chroots and in qemu, kept in /var/cache/denet-tui-lab (root)
	@$(SH)
	want "installing what the lab uses" debootstrap gcc libc-headers unshare qemu-system-x86_64 mke2fs || say "missing still:$$left"
	as_root "to make chroots and disks, and load BPF programs; $(RISK)" \
	    $(VENV)/bin/python -B -m pytest -p no:cacheprovider -m lab -n $$(nproc) --dist loadgroup

screenshots: venv ## Make the pictures in screenshots/ anew, from real runs (root)
	@$(SH)
	want "installing what is shown, and what draws it" bcc gcc libc-headers rsvg-convert mono-font || fail "missing still:$$left: see above"
	as_root "to load BPF programs; $(RISK)" $(VENV)/bin/python -B -m tests.screens.live.shoot
	as_root "to load BPF programs, and to break a machine that only it sees" \
	    $(VENV)/bin/python -B -m tests.screens.setup.shoot
	# Where SVG gets no font of its own (GitHub's README, PyPI) this shows the same.
	sed 's/Fira Code/DejaVu Sans Mono/g; s/<text /<text xml:space="preserve" /g' screenshots/overview.svg | rsvg-convert --width 1200 -o screenshots/overview.png

# Makes in $$new/venv what becomes $(PREFIX), from denet_tui, docs, wheels and requirements.lock there, and $$new/share.
define ASSEMBLE
"$$1" -I -m venv "$$new/venv"
PIP_CONFIG_FILE=/dev/null "$$new/venv/bin/python" -I -m pip install --isolated --quiet --disable-pip-version-check \
    --no-cache-dir --no-index --find-links "$$new/wheels" --require-hashes -r "$$new/requirements.lock"
find "$$new/venv/bin" -type f -delete # scripts of the packages, which name the folder where this is now
sed '1s|.*|#!$(PREFIX)/bin/python -IB|' "$$new/denet_tui/__main__.py" > "$$new/venv/bin/denet-tui"
chmod +x "$$new/venv/bin/denet-tui"
mkdir "$$new/denet_tui/docs"
cp "$$new"/docs/*.md "$$new/denet_tui/docs" # for `denet-tui help TOPIC`
cp -r "$$new/denet_tui" "$$new"/venv/lib/python3*/site-packages
"$$new/venv/bin/python" -I -m compileall -q "$$new"/venv/lib/python3*/site-packages/denet_tui
chmod -R u=rwX,go=rX "$$new/venv"
shared() { file="$$new/share/$$1"; shift; mkdir -p "$${file%/*}"; env "$$@" > "$$file"; }
program="$$new/venv/bin/python -IB -m denet_tui"
set -- $(SHARED)
shared "$$1" $$program help --man
shared "$$2" _DENET_TUI_COMPLETE=bash_source $$program
shared "$$3" _DENET_TUI_COMPLETE=zsh_source $$program
shared "$$4" _DENET_TUI_COMPLETE=fish_source $$program
endef

# What root does of it. Nothing but standard input comes from the caller: read once, into a folder that is root's alone.
define AS_ROOT
umask 022
mkdir -p $(dir $(PREFIX)) $(dir $(LINK))
new=$$(mktemp -d $(PREFIX).XXXXXX)
trap 'rm -rf "$$new"' EXIT
tar -x --no-same-owner --no-same-permissions -C "$$new"
odd=$$(find "$$new" ! -type f ! -type d -printf '%P ')
[ -z "$$odd" ] || { echo "denet-tui: not a plain file: $$odd" >&2; exit 1; }
$(ASSEMBLE)
rm -rf $(PREFIX)
mv "$$new/venv" $(PREFIX)
ln -sfn $(PREFIX)/bin/denet-tui $(LINK)
cd "$$new/share"
$(foreach each,$(SHARED),install -D -m 644 "$(each)" "$(call place,$(each))";)
endef

# From /usr alone, as root will run it: nobody else may be able to change it.
define FETCH
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
want "installing Python" python tar || fail "/usr/bin has no Python >= 3.11 with venv, or there is no tar"
work=$$(mktemp -d); trap 'rm -rf "$$work"; give_back' EXIT
"$$(find_python)" -m venv "$$work/venv"
"$$work/venv/bin/python" -I -m pip download --quiet --disable-pip-version-check --require-hashes \
    -r requirements.lock --dest "$$work/wheels" || fail "what requirements.lock lists is not to be had: see above"
endef

install: export AS_ROOT := $(AS_ROOT)
install: ## Copy denet-tui to /opt, owned by root, so that `sudo denet-tui` works
	@$(SH)
	! dpkg -S $(PREFIX) > /dev/null 2>&1 || fail "$(PREFIX) is the Debian package's: apt-get remove denet-tui first"
	want "installing bcc, which compiles the BPF program" bcc || fail "bcc is missing still: see above"
	$(FETCH)
	tar -c --exclude=__pycache__ denet_tui docs/*.md requirements.lock -C "$$work" wheels |
	    as_root "to write $(PREFIX), $(LINK) and $(SHARE)" env -i PATH="$$PATH" sh -euc "$$AS_ROOT" sh "$$(find_python)" ||
	    fail "nothing was installed: see above"
	say "installed: sudo denet-tui run -- COMMAND"

# One tree for every Python from 3.11 on: what is compiled in it keeps to the stable ABI. Its __pycache__ is made where
# it is installed, by the Python there.
define AS_PACKAGE
umask 022
mkdir new
new=$$PWD/new
tar -x -C new
$(ASSEMBLE)
mkdir -p deb/opt deb/usr/bin deb/usr/lib/systemd deb/usr/share/doc/denet-tui
mv new/venv deb/opt/denet-tui
mv new/share/* deb/usr/share
gzip -9n deb/usr/share/man/man1/denet-tui.1
mv deb/usr/share/zsh/site-functions deb/usr/share/zsh/vendor-completions
mv new/LICENSE deb/usr/share/doc/denet-tui/copyright
ln -s /opt/denet-tui/bin/denet-tui deb/usr/bin
cd deb/opt/denet-tui
rm -rf lib64 share include bin/python*
ln -s /usr/bin/python3 bin/python
printf 'home = /usr/bin\ninclude-system-site-packages = false\n' > pyvenv.cfg
mv lib/python3.* lib/python3
for each in 11 12 13 14; do ln -s python3 "lib/python3.$$each"; done
rm -rf lib/python3/site-packages/pip lib/python3/site-packages/pip-* lib/python3/site-packages/setuptools* \
    lib/python3/site-packages/pkg_resources lib/python3/site-packages/_distutils_hack \
    lib/python3/site-packages/distutils-precedence.pth
find . -name __pycache__ -prune -exec rm -rf {} +
find lib -path '*/markupsafe/_speedups.cpython-*.so' -delete # which it does without, too
bound=$$(find lib -name '*.cpython-*.so')
[ -z "$$bound" ] || { echo "denet-tui: only for one version of Python: $$bound" >&2; exit 1; }
cd ../../..
cp -r new/denet_tui/checks/units deb/usr/lib/systemd/system
mv new/deb deb/DEBIAN
chmod 755 deb/DEBIAN/p*
version=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' new/denet_tui/__init__.py)
machine=$$(dpkg --print-architecture)
sed -i "s/@VERSION@/$$version/; s/@MACHINE@/$$machine/; s/@SIZE@/$$(du -sk deb | cut -f1)/" deb/DEBIAN/control
dpkg-deb --root-owner-group --build deb "denet-tui_$${version}_$$machine.deb" >&2
endef

deb: export AS_PACKAGE := $(AS_PACKAGE)
deb: ## Make a Debian package in dist/, for Debian 12 and later
	@$(SH)
	want "installing what makes packages" dpkg-deb || fail "a Debian package can be made on Debian and Ubuntu alone"
	$(FETCH)
	tar -c --exclude=__pycache__ denet_tui docs/*.md requirements.lock deb LICENSE -C "$$work" wheels |
	    (cd "$$work" && env -i PATH="$$PATH" sh -euc "$$AS_PACKAGE" sh "$$(find_python)") || fail "no package was made: see above"
	mkdir -p dist
	for each in "$$work"/*.deb; do mv "$$each" dist; say "made: sudo apt install ./dist/$${each##*/}"; done

uninstall: ## Remove what `make install` wrote; the distribution's packages stay
	@$(SH)
	! dpkg -S $(PREFIX) > /dev/null 2>&1 || fail "$(PREFIX) is the Debian package's: apt-get remove denet-tui"
	as_root "to remove $(PREFIX), $(LINK), $(KEPT) and what is in $(SHARE)" rm -rf $(PREFIX) $(LINK) $(KEPT) \
	    $(foreach each,$(SHARED),$(call place,$(each)))
