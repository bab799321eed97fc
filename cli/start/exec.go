package start

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"containers/rl/cli/flags"
	"containers/rl/container"
	"containers/rl/storage"
)

// Exec are the flags of exec as they were typed.
type Exec struct {
	container.ExecOptions
	envFile        []string
	keys, preserve string
	latest         bool
}

// NewExec declares the flags of exec.
func NewExec(f *flags.Set) *Exec {
	o := &Exec{}
	f.BoolVarP(&o.Detached, "detach", "d", false, "do not wait for the command")
	f.BoolVarP(&o.Interactive, "interactive", "i", false, "keep standard input open")
	f.BoolVarP(&o.TTY, "tty", "t", false, "give the command a terminal")
	f.StringArrayVarP(&o.Env, "env", "e", nil, "set a variable: NAME=VALUE, or NAME to pass ours on")
	f.StringArrayVar(&o.envFile, "env-file", nil, "read variables from a file")
	f.StringVarP(&o.WorkingDir, "workdir", "w", "", "working directory")
	f.StringVarP(&o.User, "user", "u", "", "name or uid[:group or gid]")
	f.BoolVar(&o.Privileged, "privileged", false, "all capabilities of the user namespace")
	f.StringVar(&o.keys, "detach-keys", detachDefault, "keys that leave the command running; empty: none")
	f.StringVar(&o.preserve, "preserve-fds", "0", "pass so many descriptors on, from 3")
	f.BoolVarP(&o.latest, "latest", "l", false, "in the container that was made last")
	return o
}

func beginExec(args []string, s Streams, second bool) (*container.Running, error) {
	set := flags.New("exec")
	set.SetInterspersed(false)
	exec := NewExec(set)
	if set.Parse(args[2:]) != nil {
		return nil, errCold
	}
	if !second {
		if done, err := exec.Apart(args[1:]); done {
			return nil, err
		}
	}
	return exec.Start(s, set.Args())
}

// Start starts the command. One that is not waited for ends with Exit.
func (o *Exec) Start(s Streams, args []string) (*container.Running, error) {
	if o.latest {
		args = append([]string{""}, args...)
	}
	if len(args) < 2 {
		return nil, UsageError{"exec needs a container and a command: must provide a non-empty command to start an exec session", "exec"}
	}
	if o.WorkingDir != "" && !strings.HasPrefix(o.WorkingDir, "/") {
		return nil, UsageError{"--workdir: the working directory '" + o.WorkingDir + "' is invalid, it needs to be an absolute path", "exec"}
	}
	var err error
	if o.Env, err = environment(o.envFile, o.Env); err != nil {
		return nil, UsageError{err.Error(), "exec"}
	}
	if o.TTY && o.Interactive && !o.Detached && !term.IsTerminal(int(s.In.Fd())) {
		return nil, UsageError{"the input device is not a TTY: leave out -t", "exec"}
	}
	var host container.Host
	if host.Dirs, err = Directories(); err != nil {
		return nil, err
	}
	info, err := o.find(host, args[0])
	if err != nil {
		return nil, err
	}
	if !info.Known() {
		if host, err = OpenHost(); err != nil {
			return nil, err
		}
	}
	o.Args = args[1:]
	if err := o.streams(s); err != nil {
		return nil, err
	}
	running, err := container.Exec(host, info, &o.ExecOptions)
	if err != nil {
		return nil, info.Meanwhile(err)
	}
	if o.Detached {
		running.Abandon()
		err = container.Exit{Code: 0}
	}
	return running, err
}

// find: -l means the container that was made last.
func (o *Exec) find(host container.Host, ref string) (*container.Info, error) {
	if !o.latest {
		return container.FindRunning(host.Dirs, ref)
	}
	list, err := container.List(host.Dirs)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("--latest: there are no containers: %w", storage.ErrNoContainer)
	}
	if err != nil {
		return nil, err
	}
	return slices.MaxFunc(list, func(a, b *container.Info) int { return a.Created.Compare(b.Created) }), nil
}

// Apart is that of Run.
func (o *Exec) Apart(args []string) (done bool, err error) {
	if !leavable(o.TTY, o.Interactive, o.Detached, o.keys) {
		return false, nil
	}
	keep, _, _, err := descriptors(o.preserve)
	if err != nil {
		return true, UsageError{err.Error(), "exec"}
	}
	return true, Front(args, keep)
}

func (o *Exec) streams(s Streams) (err error) {
	if o.PreserveFDs, _, _, err = descriptors(o.preserve); err != nil {
		return UsageError{err.Error(), "exec"}
	}
	if o.Keys, err = container.DetachKeys(o.keys); err != nil {
		return UsageError{err.Error(), "exec"}
	}
	if o.Leave = func(id string) error { return Leave(id, o.PreserveFDs) }; !isTerminal() {
		o.Keys = nil
	}
	o.Stdin, o.Stdout, o.Stderr = s.In, s.Out, s.Err
	if o.Interactive && !o.Detached {
		return nil
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if o.Stdin = null; o.Detached {
		o.Stdout, o.Stderr = null, null
	}
	return err
}
