package container

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/cgroups"
	"containers/rl/security"
	"containers/rl/userns"
)

// ExecOptions are what `rl exec` was asked for. The rest is the container's.
type ExecOptions struct {
	Args             []string
	Env              []string // NAME=VALUE, after the container's
	WorkingDir, User string
	TTY, Interactive bool
	Detached         bool // it is not waited for, and dies with the container alone
	Privileged       bool // all capabilities of the user namespace

	PreserveFDs int                   // descriptors from 3 on that the program gets
	Keys        []byte                // as those of Options
	Leave       func(id string) error // the same

	Stdin, Stdout, Stderr *os.File
}

// Exec starts a program in a container that runs. It needs neither the
// container's rl nor a helper: a child joins the namespaces by the pidfd of the
// container's first process (setns(2), Linux 5.8) and makes the program's
// process, which is then our child.
func Exec(h Host, i *Info, e *ExecOptions) (*Running, error) {
	r, err := enter(h, i, e, func(c *userns.Child) error { return c.Hold(commonSignals...) })
	if err != nil {
		return nil, err
	}
	err = r.child.Forward()
	i.Emit(h.Dirs, "exec")
	return r, err
}

// enter is Exec without the passing on of signals. before is called before the
// child runs.
func enter(h Host, i *Info, e *ExecOptions, before func(*userns.Child) error) (*Running, error) {
	pidfd, state, err := i.State.Init.open()
	if !i.Running() || errors.Is(err, unix.ESRCH) {
		return nil, fmt.Errorf("can only create exec sessions on running containers: container %s is not running: %w", i.Name(), errImproper)
	}
	if err == nil && i.stands(state) {
		unix.Close(pidfd)
		return nil, fmt.Errorf("container %s %w: can only create exec sessions on running containers: %w: rl unpause %[1]s", i.Name(), errPaused, errState)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the first process of container %s: %w", i.Name(), err)
	}
	defer unix.Close(pidfd)
	p, err := newJoin(h, i, e)
	if err != nil {
		return nil, err
	}
	if err := hide(); err != nil {
		p.shared.close()
		return nil, err
	}
	child, err := userns.Clone(userns.Config{})
	if err != nil {
		p.shared.close()
		return nil, err
	}
	r := &Running{child: child, host: h, plan: p, joins: true, visited: i}
	outer := userns.NewScript(2)
	outer.Do("joining", "the namespaces of container "+i.Name(), unix.SYS_SETNS, userns.Int(pidfd), userns.Int(joinFlags(p.spec)))
	outer.Fork(p.Script)
	if err = before(child); err == nil && i.State.Cgroup != "" {
		err = (&cgroups.Group{Dir: i.State.Cgroup}).Add(child.PID)
	}
	if err == nil {
		err = child.Run(outer)
	}
	if err != nil {
		child.Kill()
		r.release(&err)
		return nil, err
	}
	return r, nil
}

// Abandon leaves a program that was started with Detached to the container.
func (r *Running) Abandon() {
	var err error
	r.release(&err)
}

func joinFlags(spec *specs.Spec) (flags uintptr) {
	for _, ns := range spec.Linux.Namespaces {
		flags |= namespaceFlags[ns.Type]
	}
	return flags
}

// newJoin makes the script of the program, in its namespaces from the start.
func newJoin(h Host, i *Info, e *ExecOptions) (*plan, error) {
	o := i.Options
	o.TTY, o.Interactive, o.Detached, o.Init = e.TTY, e.Interactive, e.Detached, false
	o.Stdin, o.Stdout, o.Stderr = e.Stdin, e.Stdout, e.Stderr
	o.PreserveFDs, o.Keys, o.Leave = e.PreserveFDs, e.Keys, e.Leave
	spec, err := i.Spec()
	if err != nil {
		return nil, err
	}
	ids := h.IDs
	if i.Known() {
		ids = i.ids
	}
	if err := o.loadSecrets(i.Dir); err != nil {
		return nil, err
	}
	p := &plan{Script: userns.NewScript(128), o: &o, spec: spec, ids: ids, shared: noneShared, stdin: -1, joins: true}
	// The filter is the container's, whatever capabilities this program has.
	if err := p.program(); err != nil {
		return nil, err
	}
	if err := joinProcess(p.spec.Process, i, e); err != nil {
		return nil, err
	}
	if err := p.reserve(); err != nil {
		p.shared.close()
		return nil, err
	}
	p.becomeRoot()
	if e.TTY {
		p.root = p.Do("opening", "the container's root", unix.SYS_OPENAT, userns.Int(unix.AT_FDCWD), p.Str("/"),
			userns.Int(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC), userns.Int(0)).Save()
		p.openTerminal()
		p.close(p.root)
	}
	if err := p.process(); err != nil {
		p.shared.close()
		return nil, err
	}
	return p, nil
}

// joinProcess is the container's process with what exec asks for.
func joinProcess(process *specs.Process, i *Info, e *ExecOptions) error {
	process.Args, process.Terminal = e.Args, e.TTY
	process.Cwd = first(e.WorkingDir, process.Cwd)
	env := process.Env
	if e.User != "" {
		user, home, err := (imageRoot{"/proc/" + strconv.Itoa(i.State.Init.PID) + "/root"}).user(e.User)
		if err != nil {
			return err
		}
		process.User = user
		if !slices.ContainsFunc(i.Options.Env, func(v string) bool { return strings.HasPrefix(v, "HOME=") }) {
			env = mergeEnv(env, []string{"HOME=" + home})
		}
	}
	if e.TTY {
		env = mergeEnv([]string{"TERM=xterm"}, env)
	}
	process.Env = mergeEnv(env, e.Env)
	if e.Privileged {
		caps := security.AllCapabilities()
		process.Capabilities = &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps}
	}
	return nil
}

// errImproper is podman's word for what cannot be done to a container as it is.
var errImproper = errors.New("container state improper")
