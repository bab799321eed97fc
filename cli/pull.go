package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/image"
	"containers/rl/netslirp"
	"containers/rl/netslirp/config"
	"containers/rl/security/profile"
	"containers/rl/storage"
	"containers/rl/storage/layers"
	"containers/rl/storage/shared"
	"containers/rl/userns"
)

// pullRequest goes to our second self as its only argument. Unpacking needs
// the ids of the user namespace, so it cannot be done by the first.
type pullRequest struct {
	Refs     []string
	Platform string
	Quiet    bool
	SingleID bool
	Notice   string // why only one id is mapped
	PrintID  bool
	Told     bool         // what is wrong with stores of others
	Dirs     storage.Dirs // ours: inside, the user's id is another
	image.Access
}

// start checks the references before a process is started for them.
func (r *pullRequest) start(host container.Host) error {
	for _, ref := range r.Refs {
		if _, err := image.ParseReference(ref); err != nil {
			return usageError{Text: err.Error(), Command: "pull"}
		}
	}
	r.SingleID, r.Notice, r.Dirs = host.IDs.Single(), host.Notice, host.Dirs
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return inside(host, rolePull, string(text))
}

// inside runs a role of ours in the user namespace.
func inside(host container.Host, role string, args ...string) error {
	process, err := userns.Command(host.IDs, role, args)
	if err != nil {
		return err
	}
	return secondSelf(process)
}

// secondSelf waits for a role of ours; it has said what was wrong.
func secondSelf(process *userns.Process) error {
	// An interrupt of the terminal reaches both; the second one cleans up.
	ignored := make(chan os.Signal, 8)
	signal.Notify(ignored, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(ignored)
	go func() {
		for s := range ignored {
			process.Signal(s.(syscall.Signal))
		}
	}()
	return container.SaidAlready(process.Wait())
}

// pullInside is the second self.
func pullInside(s Streams, args []string) error {
	var r pullRequest
	if len(args) != 1 {
		return errors.New(rolePull + " is for rl itself")
	}
	if err := json.Unmarshal([]byte(args[0]), &r); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	others, failed := shared.Open(os.Getenv, r.Dirs.Data)
	if !r.Told {
		warn(s, failed)
	}
	for _, ref := range r.Refs {
		before := r.known(ref)
		printer := newProgress(s.Err, r.Quiet)
		result, err := image.Pull(ctx, image.PullOptions{Shared: others, Tell: imageRequest{Quiet: r.Quiet}.tell(s), Ref: ref, Platform: r.Platform, Dirs: r.Dirs, Progress: printer, SingleID: r.SingleID, Access: r.Access})
		printer.Close()
		if err != nil {
			happened(r.Dirs, "image", "pull-error", "", ref, "error="+err.Error())
			return err
		}
		happened(r.Dirs, "image", "pull", result.Image.ID, ref)
		if result.Squashed && r.Notice != "" {
			fmt.Fprintf(s.Err, "rl: files of other users in %s now belong to root: %s\n", ref, r.Notice)
		}
		if r.PrintID {
			r.status(s, ref, before, result)
			fmt.Fprintln(s.Out, result.Image.ID)
		}
		result.Image.Close()
	}
	return nil
}

// known is the id of what a name stood for.
func (r *pullRequest) known(ref string) string {
	img, err := r.Dirs.Lookup(ref)
	if err != nil {
		return ""
	}
	defer img.Close()
	return img.ID
}

// status is docker's, but not where the id is: that is all of podman's output.
func (r *pullRequest) status(s Streams, ref, before string, pulled *image.Result) {
	switch {
	case r.Quiet:
	case before == pulled.Image.ID:
		fmt.Fprintf(s.Err, "Digest: %s\nStatus: Image is up to date for %s\n", pulled.Digest, ref)
	default:
		fmt.Fprintf(s.Err, "Digest: %s\nStatus: Downloaded newer image for %s\n", pulled.Digest, ref)
	}
}

// cold is what package start lacks.
var cold = &start.Cold{Find: findImage, Seccomp: seccomp, Network: netslirp.ParseOptions, CheckHost: netslirp.CheckHost, CheckDNS: netslirp.CheckDNS,
	Publish: netslirp.ParsePublish, Expose: netslirp.ParseExpose, Exposed: exposedPorts, MAC: netslirp.ParseMAC, Attach: attachNetwork,
	Glob: filepath.Glob, Pod: podFor, Devices: findDevices}

// runFlags is the command run, when package start could not begin it.
func runFlags(f *flags.Set) func(Streams, []string) error {
	run := start.New(f)
	return func(s Streams, args []string) error {
		err := runOne(s, run, args, f.Raw())
		var ended container.Exit
		if run.RemovesImage() && errors.As(err, &ended) {
			run.Image.Close() // its lock is ours
			ref := args[0]
			if form, _, _, _ := image.Transport(ref); form != "" {
				ref = run.Image.ID
			}
			removeAfter(s, ref)
		}
		return err
	}
}

func runOne(s Streams, run *start.Run, args, words []string) error {
	if done, err := run.Apart(s, args, words, cold); done { // package start does it when we are called rl
		return err
	}
	if run.Unproxied() {
		return runUnproxied(s, run, args)
	}
	running, err := run.Start(s, args, cold)
	if err != nil {
		return err
	}
	return running.Finish(serve)
}

// removeAfter is --rmi. The status is the container's all the same.
func removeAfter(s Streams, ref string) {
	host, err := start.OpenHost()
	if err == nil {
		s.Out, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	if err == nil && !missing(host, ref) {
		err = removeImages(s, host, []string{ref}, layers.RemovalOptions{}, false)
	}
	var said container.Exit
	if err != nil && !errors.As(err, &said) {
		fmt.Fprintf(s.Err, "rl: --rmi: the image stays: %v\n", err)
	}
}

// monitorInside stays with a container that may be left, when package start
// could not begin it.
func monitorInside(s Streams, args []string) error {
	if len(args) < 2 || args[0] != "run" && args[0] != "exec" {
		return errors.New(start.RoleMonitor + " is for rl itself")
	}
	set := flags.New(args[0])
	set.SetInterspersed(false)
	var begin func() (*container.Running, error)
	if args[0] == "run" {
		run := start.New(set)
		begin = func() (*container.Running, error) { return run.Start(s, set.Args(), cold) }
	} else {
		exec := start.NewExec(set)
		begin = func() (*container.Running, error) { return exec.Start(s, set.Args()) }
	}
	if err := set.Parse(args[1:]); err != nil {
		return usageError{Text: err.Error(), Command: args[0]}
	}
	running, err := begin()
	if err != nil {
		return err
	}
	return running.Finish(serve)
}

// Continue serves a container that package start has begun.
func Continue(running *container.Running, s Streams) int {
	return start.Done(s, running.Finish(serve))
}

func serve(tun int, n config.Network, first []byte, published []config.Listener) (container.Server, error) {
	server, err := netslirp.Serve(tun, n, first, published...)
	return network{server}, err
}

type network struct{ *netslirp.Server }

// GiveBack gives memory back. A first collection of garbage would take more, for
// its own marks, than it finds after little traffic.
func (network) GiveBack() {
	var collections debug.GCStats // runtime.ReadMemStats touches half a megabyte
	if debug.ReadGCStats(&collections); collections.NumGC > 0 {
		debug.FreeOSMemory()
	}
	container.GiveBack()
}

func seccomp(text []byte, caps []string) (*specs.LinuxSeccomp, error) {
	if text == nil {
		return profile.Default(caps)
	}
	return profile.Parse(text, caps)
}
