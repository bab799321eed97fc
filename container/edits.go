package container

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/userns"
)

// Edits are what a container gets for devices that are more than nodes (package
// cdi). They are found when it is made, and are its own from then on.
type Edits struct {
	Names   []string // VENDOR/CLASS=NAME, as they were asked for
	Env     []string
	Devices []Device
	Mounts  []specs.Mount
	Hooks   []Hook
	GIDs    []uint32
}

// Hook is a program of the host that is run once in the life of a container
// (OCI runtime specification, POSIX-platform Hooks).
type Hook struct {
	Stage     string
	Path      string
	Args, Env []string `json:",omitzero"`
	Timeout   int      `json:",omitzero"` // seconds; 0: none
}

// edit changes a specification.
func (e *Edits) edit(spec *specs.Spec) {
	spec.Process.Env = mergeEnv(spec.Process.Env, e.Env)
	spec.Mounts = append(spec.Mounts, outermostFirst(e.Mounts)...)
	for _, gid := range e.GIDs {
		if gid != 0 && !slices.Contains(spec.Process.User.AdditionalGids, gid) {
			spec.Process.User.AdditionalGids = append(spec.Process.User.AdditionalGids, gid)
		}
	}
}

// The stages of hooks that are run, and where: on the host, or in the
// container's namespaces before and after its root is the container's own. Those
// of poststop are not, as nobody is left who would have to wait for them.
const (
	stageHost  = "createRuntime"
	stageOuter = "createContainer"
	stageInner = "startContainer"
	stageAfter = "poststart"
	stageEnd   = "poststop"
)

func (o *Options) hooks(stages ...string) (list []Hook) {
	if o.rare().CDI == nil {
		return nil
	}
	for _, h := range o.rare().CDI.Hooks {
		if slices.Contains(stages, h.Stage) {
			list = append(list, h)
		}
	}
	return list
}

// meet lets the child wait here while hooks are run.
func (p *plan) meet(stages ...string) {
	if len(p.o.hooks(stages...)) > 0 {
		p.Meet(func(child *userns.Child) error { return p.runHooks(child, "creating", stages...) })
	}
}

// runHooks runs them one after the other; the first that fails ends the start.
func (p *plan) runHooks(child *userns.Child, status string, stages ...string) error {
	if len(p.o.hooks(stages...)) == 0 {
		return nil
	}
	pid, pidfd := child.Current()
	dir := path.Dir(p.files.merged)
	bundle := *p.spec
	bundle.Root = &specs.Root{Path: p.files.merged, Readonly: p.spec.Root.Readonly}
	if err := writeFile(path.Join(dir, specFile), encode(bundle)); err != nil {
		return err
	}
	state := encode(specs.State{Version: specs.Version, ID: p.o.ID, Status: specs.ContainerState(status), Pid: pid, Bundle: dir, Annotations: p.o.Annotations})
	for _, stage := range stages { // in the order of the specification
		for _, h := range p.o.hooks(stage) {
			inside := userns.Outside
			if stage == stageOuter || stage == stageInner {
				inside = pidfd
			}
			if err := h.run(inside, p.hookNamespaces(), state); err != nil {
				// Not %w: that a hook cannot be executed is not that of the container's program.
				return fmt.Errorf("running hook %s of CDI device %s: %s: %v", h.Stage, strings.Join(p.o.rare().CDI.Names, ", "), h.Path, err)
			}
		}
	}
	return nil
}

// hookNamespaces are those of the container that its user namespace owns.
func (p *plan) hookNamespaces() uintptr {
	own := cloneFlags(p.o) & (unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS)
	if p.join != nil {
		own &^= p.join.kinds
	}
	return unix.CLONE_NEWUSER | unix.CLONE_NEWNS | own
}

// run gives the program the container's state as its input. What it writes is
// for the user to see.
func (h Hook) run(pidfd int, namespaces uintptr, state []byte) error {
	input, err := unix.MemfdCreate("state", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("making its input: %w", err)
	}
	defer unix.Close(input)
	if _, err := unix.Pwrite(input, state, 0); err != nil {
		return fmt.Errorf("writing its input: %w", err)
	}
	argv := h.Args
	if len(argv) == 0 {
		argv = []string{h.Path}
	}
	process, err := userns.Program(pidfd, namespaces, h.Path, argv, h.Env, [3]int{input, 2, 2})
	if err != nil {
		return err
	}
	if h.Timeout == 0 {
		return process.Wait()
	}
	timer := time.AfterFunc(time.Duration(h.Timeout)*time.Second, func() { process.Signal(unix.SIGKILL) })
	if err = process.Wait(); !timer.Stop() {
		err = fmt.Errorf("killed after %d s, its timeout", h.Timeout)
	}
	return err
}

// afterStart runs the hooks of that stage, and says which are left out. A
// container that runs is not ended for them.
func (r *Running) afterStart() {
	if err := r.plan.runHooks(r.child, "running", stageAfter); err != nil {
		r.notice(err.Error())
	}
	for _, h := range r.plan.o.hooks(stageEnd) {
		r.notice(fmt.Sprintf("hook %s of CDI device %s is not run: %s", h.Stage, strings.Join(r.plan.o.rare().CDI.Names, ", "), h.Path))
	}
}
