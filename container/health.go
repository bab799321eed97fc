package container

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"containers/rl/storage"
	"containers/rl/userns"
)

// Health says how a container is checked (docker-run(1), --health-*; the field
// Healthcheck of docker's image configuration). Zero fields are docker's
// defaults.
type Health struct {
	Test        []string // CMD and words, CMD-SHELL and one word, or NONE
	Interval    time.Duration
	Timeout     time.Duration
	StartPeriod time.Duration // failures in it do not count
	Retries     int           // failures in a row until it is unhealthy
	OnFailure   string        `json:",omitempty"` // "", none, kill, restart or stop
}

// HealthState is what the checks have found.
type HealthState struct {
	Status        string // starting, healthy or unhealthy
	FailingStreak int
	Log           []HealthCheck // the last ones
}

// HealthCheck is one of them.
type HealthCheck struct {
	Start, End time.Time
	ExitCode   int // -1: it took too long
	Output     string
}

// The health of a container, in docker's words.
const (
	HealthStarting  = "starting"
	HealthHealthy   = "healthy"
	HealthUnhealthy = "unhealthy"
)

const (
	healthFile   = "health.json"
	healthLog    = 5 // checks that are kept
	healthOutput = 4096
	usualPeriod  = 30 * time.Second // between checks, and for one
	usualRetries = 3
)

// imageLife is what an image's configuration says of a container's life. The
// keys are looked for first: few images have them, and reading JSON takes its
// time.
func imageLife(img *storage.Image) (health *Health, stopSignal string) {
	if img == nil || !bytes.Contains(img.Config, []byte(`"Healthcheck"`)) && !bytes.Contains(img.Config, []byte(`"StopSignal"`)) {
		return nil, ""
	}
	var config struct {
		Config struct {
			Healthcheck *Health
			StopSignal  string
		}
	}
	if json.Unmarshal(img.Config, &config) != nil {
		return nil, ""
	}
	return config.Config.Healthcheck, config.Config.StopSignal
}

// fromImage fills in what the user left to the image.
func (o *Options) fromImage() {
	health, signal := imageLife(o.Image)
	o.Health, o.StopSignal = orElse(o.Health, health), orElse(o.StopSignal, signal)
}

// Checked says whether there is anything to check.
func (h *Health) Checked() bool { return h != nil && len(h.Test) > 0 && h.Test[0] != "NONE" }

func (h *Health) command() []string {
	switch {
	case h.Test[0] == "CMD-SHELL":
		return append([]string{"/bin/sh", "-c"}, h.Test[1:]...)
	case h.Test[0] == "CMD":
		return h.Test[1:]
	}
	return h.Test
}

func orElse[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}

// watchHealth checks until the container ends.
func (r *Running) watchHealth(h *Health) {
	info, err := look(storage.Entry{ID: r.plan.o.ID, Dir: r.storage.Dir})
	if err != nil {
		return
	}
	for {
		time.Sleep(orElse(h.Interval, usualPeriod))
		state, err := info.CheckHealth(r.host)
		if errors.Is(err, errPaused) {
			continue
		}
		if err != nil {
			return // it ended
		}
		if state.Status == HealthUnhealthy && r.unhealthy(info, h) {
			return
		}
	}
}

// unhealthy does what is to be done then. false: go on checking.
func (r *Running) unhealthy(info *Info, h *Health) bool {
	switch h.OnFailure {
	case "kill":
		_ = info.State.Init.send(unix.SIGKILL)
	case "restart":
		atomic.StoreInt32(&r.sick, 1)
		_ = info.State.Init.send(unix.SIGKILL)
	case "stop":
		_ = info.markStopped()
		_ = info.State.Init.send(info.StopSignal())
		if over, err := info.State.Init.wait(info.StopTimeout()); err == nil && !over {
			_ = info.State.Init.send(unix.SIGKILL)
		}
	default:
		return false
	}
	return true
}

// CheckHealth runs the container's check once, and records what it found.
func (i *Info) CheckHealth(h Host) (HealthState, error) {
	check := i.Options.Health
	if !check.Checked() {
		return HealthState{}, fmt.Errorf("container %s has no defined healthcheck", i.Name())
	}
	result, err := i.runCheck(h, check)
	if err != nil {
		return HealthState{}, err
	}
	state := i.Health()
	state.add(result, check, time.Since(i.State.Started))
	i.Emit(h.Dirs, "health_status", "health_status="+state.Status)
	return state, i.writeHealth(state)
}

// add is docker's rule: one success makes it healthy, some failures in a row
// unhealthy, and those of the start period do not count before a success.
func (s *HealthState) add(c HealthCheck, h *Health, age time.Duration) {
	s.Log = append(s.Log, c)
	s.Log = s.Log[max(0, len(s.Log)-healthLog):]
	switch {
	case c.ExitCode == 0:
		s.Status, s.FailingStreak = HealthHealthy, 0
	case s.Status == HealthStarting && age < h.StartPeriod:
	default:
		if s.FailingStreak++; s.FailingStreak >= orElse(h.Retries, usualRetries) {
			s.Status = HealthUnhealthy
		}
	}
}

// Health gives what the checks of this run have found so far.
func (i *Info) Health() HealthState {
	state := HealthState{Status: HealthStarting}
	_ = load(i.Dir, healthFile, &state)
	return state
}

func (i *Info) writeHealth(s HealthState) error {
	file := path.Join(i.Dir, healthFile)
	tmp := fmt.Sprintf("%s.%d", file, os.Getpid())
	if err := os.WriteFile(tmp, encode(s), 0o600); err != nil {
		return fmt.Errorf("recording the health of container %s: %w", i.Name(), err)
	}
	return os.Rename(tmp, file)
}

// runCheck runs the command, for so long and no longer.
func (i *Info) runCheck(h Host, check *Health) (c HealthCheck, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return c, err
	}
	defer null.Close()
	said, err := memory()
	if err != nil {
		return c, err
	}
	defer said.Close()
	c.Start = time.Now()
	r, err := enter(h, i, &ExecOptions{Args: check.command(), Stdin: null, Stdout: said, Stderr: said}, func(*userns.Child) error { return nil })
	switch {
	case errors.Is(err, ErrNotRunning), errors.Is(err, errPaused):
		return c, err
	case err != nil: // such as a command that is not there
		c.End, c.ExitCode, c.Output = time.Now(), 1, err.Error()
		return c, nil
	}
	over, err := poll(r.child.PIDFD, orElse(check.Timeout, usualPeriod))
	if err == nil && !over {
		_ = unix.Kill(r.child.PID, unix.SIGKILL)
	}
	status, waited := r.child.Wait()
	r.child.Close() // the monitor goes on, for long
	var none error
	r.release(&none)
	if err = errors.Join(err, waited); err != nil {
		return c, err
	}
	if c.ExitCode = status.ExitStatus(); !over {
		c.ExitCode = -1
	}
	text := make([]byte, healthOutput)
	n, _ := unix.Pread(int(said.Fd()), text, 0)
	c.End, c.Output = time.Now(), string(text[:max(n, 0)])
	return c, nil
}

// memory is a file that only we see.
func memory() (*os.File, error) {
	fd, err := unix.MemfdCreate("health", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making a memory file: %w", err)
	}
	return os.NewFile(uintptr(fd), "health"), nil
}
