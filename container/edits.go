package container

import (
	"errors"
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

// The stages of hooks, and where they are run: on the host, or in the container's
// namespaces before and after its root is the container's own. Those of poststop
// are run by who stays with the container, at its end; when that process is
// killed they are not run at all, as no other knows whether they were.
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
	if err := p.writeBundle(); err != nil {
		return err
	}
	p.hooked = true
	state := p.o.hookState(status, pid, path.Dir(p.files.merged))
	for _, stage := range stages { // in the order of the specification
		for _, h := range p.o.hooks(stage) {
			inside := userns.Outside
			if stage == stageOuter || stage == stageInner {
				inside = pidfd
			}
			if err := h.run(inside, p.hookNamespaces(), state); err != nil {
				return p.o.hookError(h, err)
			}
		}
	}
	return nil
}

// writeBundle writes the specification where a state's bundle has it.
func (p *plan) writeBundle() error {
	bundle := *p.spec
	bundle.Root = &specs.Root{Path: p.files.merged, Readonly: p.spec.Root.Readonly}
	return writeFile(path.Join(path.Dir(p.files.merged), specFile), encode(bundle))
}

// hookState is what a hook reads (OCI runtime specification, State).
func (o *Options) hookState(status string, pid int, bundle string) []byte {
	return encode(specs.State{Version: specs.Version, ID: o.ID, Status: specs.ContainerState(status), Pid: pid, Bundle: bundle, Annotations: o.Annotations})
}

// hookError is not %w: that a hook cannot be executed is not that of the
// container's program.
func (o *Options) hookError(h Hook, err error) error {
	return fmt.Errorf("running hook %s of CDI device %s: %s: %v", h.Stage, strings.Join(o.rare().CDI.Names, ", "), h.Path, err)
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

// afterStart runs the hooks of that stage. A container that runs is not ended for
// them.
func (r *Running) afterStart() {
	if err := r.plan.runHooks(r.child, "running", stageAfter); err != nil {
		r.notice(err.Error())
	}
}

// afterEnd runs the hooks of poststop, all of them, when the container's processes
// and mounts are gone and its directory is still there. What fails is for the user
// to know, and changes nothing of how the container ended.
func (r *Running) afterEnd() error {
	o := r.plan.o
	if r.joins || r.storage == nil { // a program of exec; nothing was made
		return nil
	}
	hooks := o.hooks(stageEnd)
	var failed []error
	if len(hooks) > 0 && !r.introduced { // it has none yet, or none that is whole
		failed = append(failed, r.plan.writeBundle())
	}
	for _, h := range hooks {
		if err := h.run(userns.Outside, 0, o.hookState("stopped", 0, r.storage.Dir)); err != nil {
			failed = append(failed, o.hookError(h, err))
		}
	}
	return errors.Join(failed...)
}
