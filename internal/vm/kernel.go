package vm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Kernel is an unpacked kernel package.
type Kernel struct {
	Arch    *Architecture
	Release string // 6.1.0-56-cloud-amd64
	Image   string // path of the kernel
	Modules string // path of the directory with its modules
}

// FindKernel looks for an unpacked kernel in the cache directory; if there is
// none it downloads and unpacks Debian's current one where fetch allows it.
// The error is a *MissingError that names the command to run.
func FindKernel(ctx context.Context, arch *Architecture, fetch bool) (*Kernel, error) {
	dir, err := CacheDir()
	if err != nil {
		return nil, err
	}
	if k := cached(arch, dir); k != nil {
		return k, nil
	}
	if !fetch {
		return nil, &MissingError{
			fmt.Sprintf("engine vm needs a kernel of Debian (%s) in %s", arch.kernel, dir),
			"thinlink doctor --fix downloads and unpacks it, without installing it",
		}
	}
	if err := download(ctx, arch, dir); err != nil {
		return nil, err
	}
	if k := cached(arch, dir); k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("vm: %s has no kernel after unpacking", dir)
}

// cached is the kernel of an architecture that was unpacked last. One that is
// there is whole: its directory gets its name at the end.
func cached(arch *Architecture, dir string) *Kernel {
	names, err := filepath.Glob(filepath.Join(dir, "[0-9]*"+arch.suffix))
	names = slices.DeleteFunc(names, func(name string) bool { return flavour(name) != flavour(arch.suffix) })
	if err != nil || len(names) == 0 {
		return nil
	}
	unpacked := func(name string) time.Time {
		info, err := os.Stat(name)
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	root := slices.MaxFunc(names, func(a, b string) int { return unpacked(a).Compare(unpacked(b)) })
	return &Kernel{
		Arch: arch, Release: filepath.Base(root),
		Image: filepath.Join(root, "vmlinux"), Modules: filepath.Join(root, "modules"),
	}
}

// flavour tells a release for clouds from others, whose suffixes end alike.
func flavour(release string) bool { return strings.Contains(release, "-cloud-") }

var imageName = regexp.MustCompile(`linux-image-([0-9][0-9a-z.+-]*-[a-z0-9]+)`)

// download gets the package with apt, which checks its signature, and unpacks
// it beside the others.
func download(ctx context.Context, arch *Architecture, dir string) error {
	for _, tool := range []string{"apt-get", "apt-cache", "dpkg", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return &MissingError{
				"engine vm gets its kernel with " + tool + ", which is not there",
				fmt.Sprintf("on a Debian machine run thinlink doctor --fix and copy %s here", dir),
			}
		}
	}
	tmp := filepath.Join(dir, fmt.Sprintf("unpack-%d", os.Getpid()))
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return fmt.Errorf("vm: %w", err)
	}
	defer os.RemoveAll(tmp)
	env, err := foreign(ctx, arch, tmp)
	if err != nil {
		return err
	}
	pkg, err := output(ctx, tmp, env, "apt-cache", "depends", arch.kernel)
	if err != nil {
		return &MissingError{"apt does not know " + arch.kernel, "sudo apt-get update"}
	}
	name := imageName.FindStringSubmatch(strings.ReplaceAll(pkg, arch.kernel, ""))
	if name == nil {
		return &MissingError{"apt does not know which kernel " + arch.kernel + " stands for", "sudo apt-get update"}
	}
	if _, err := output(ctx, tmp, env, "apt-get", "download", "-q", name[0]); err != nil {
		return fmt.Errorf("vm: download of %s: %w; try sudo apt-get update", name[0], err)
	}
	debs, _ := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if len(debs) != 1 {
		return fmt.Errorf("vm: download of %s left %d packages", name[0], len(debs))
	}
	if _, err := output(ctx, tmp, nil, "dpkg-deb", "-x", debs[0], "root"); err != nil {
		return fmt.Errorf("vm: unpack %s: %w", name[0], err)
	}
	return arrange(ctx, filepath.Join(tmp, "root"), name[1], filepath.Join(dir, name[1]))
}

// foreign is the environment in which apt knows the packages of an
// architecture that is not this machine's: it keeps lists of its own below
// dir, and the machine's stay as they are (apt.conf(5)).
func foreign(ctx context.Context, arch *Architecture, dir string) (env []string, err error) {
	own, err := output(ctx, dir, nil, "dpkg", "--print-architecture")
	if err != nil {
		return nil, fmt.Errorf("vm: %w", err)
	}
	if strings.TrimSpace(own) == arch.Name {
		return nil, nil
	}
	for _, name := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return nil, fmt.Errorf("vm: %w", err)
		}
	}
	conf := filepath.Join(dir, "apt.conf")
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "state", "status"), nil, 0o644),
		os.WriteFile(conf, fmt.Appendf(nil, `APT::Architecture %q;
APT::Architectures { %[1]q; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::State %q;
Dir::State::status %q;
Dir::Cache %q;
`, arch.Name, filepath.Join(dir, "state"), filepath.Join(dir, "state", "status"), filepath.Join(dir, "cache")), 0o644))
	if err != nil {
		return nil, fmt.Errorf("vm: %w", err)
	}
	env = []string{"APT_CONFIG=" + conf}
	if _, err := output(ctx, dir, env, "apt-get", "update", "-q"); err != nil {
		return nil, fmt.Errorf("vm: apt's lists for %s: %w", arch.Name, err)
	}
	return env, nil
}

// output runs a program and returns what it prints; env is added to the
// environment.
func output(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return string(out), err
}

// arrange moves what a guest needs of an unpacked package to its place: the
// kernel, unpacked to boot faster, and the modules, unpacked because the guest
// has no tools.
func arrange(ctx context.Context, root, release, to string) error {
	modules := filepath.Join(root, "lib", "modules", release)
	if _, err := os.Stat(modules); err != nil { // merged /usr, Debian 13
		modules = filepath.Join(root, "usr", "lib", "modules", release)
	}
	if err := unpackModules(ctx, modules); err != nil {
		return err
	}
	stage := filepath.Join(root, "stage")
	if err := os.Mkdir(stage, 0o755); err != nil {
		return fmt.Errorf("vm: %w", err)
	}
	if err := os.Rename(modules, filepath.Join(stage, "modules")); err != nil {
		return fmt.Errorf("vm: %w", err)
	}
	image, err := os.ReadFile(filepath.Join(root, "boot", "vmlinuz-"+release))
	if err != nil {
		return fmt.Errorf("vm: kernel: %w", err)
	}
	if unpacked, err := unpackImage(ctx, image); err == nil {
		image = unpacked
	} // else QEMU boots it as it is, a little slower
	if err := os.WriteFile(filepath.Join(stage, "vmlinux"), image, 0o644); err != nil {
		return fmt.Errorf("vm: %w", err)
	}
	if err := os.Rename(stage, to); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("vm: %w", err)
	}
	return nil
}

// unpackModules unpacks compressed modules (.ko.xz since Debian 13) that are
// below a directory of wanted ones.
func unpackModules(ctx context.Context, dir string) error {
	var packed []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".ko.xz") {
			packed = append(packed, path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("vm: modules: %w", err)
	}
	const batch = 500
	for len(packed) > 0 {
		n := min(batch, len(packed))
		if _, err := output(ctx, dir, nil, append([]string{"xz", "-d"}, packed[:n]...)...); err != nil {
			return fmt.Errorf("vm: unpack modules: %w", err)
		}
		packed = packed[n:]
	}
	return nil
}
