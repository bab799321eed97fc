package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"containers/rl/container"
	"containers/rl/image"
	"containers/rl/storage"
	"containers/rl/storage/layers"
	"containers/rl/userns"
)

// roleImage is the second self that writes images, or writes to the store.
const roleImage = "rl-image"

// imageRequest is its only argument: one of its fields is set.
type imageRequest struct {
	Save     *image.SaveOptions     `json:",omitempty"`
	Import   *image.ImportOptions   `json:",omitempty"`
	Push     *image.PushOptions     `json:",omitempty"`
	Check    *image.CheckOptions    `json:",omitempty"`
	Reset    *storage.Dirs          `json:",omitempty"`
	PushList *image.PushListOptions `json:",omitempty"`
	Load     *loadRequest           `json:",omitempty"`
	Diff     *container.Tree        `json:",omitempty"`
	Remove   *layers.RemovalOptions `json:",omitempty"`
	Share    *image.ShareOptions    `json:",omitempty"`
	Quiet    bool
	Digest   string // file that the digest is written to
	SingleID bool
	Notice   string
}

// run starts the second self with other streams; nil is our own.
func (r imageRequest) run(host container.Host, in, out *os.File) error {
	r.SingleID, r.Notice = host.IDs.Single(), host.Notice
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	stdio := [3]int{0, 1, 2}
	if in != nil {
		stdio[0] = int(in.Fd())
	}
	if out != nil {
		stdio[1] = int(out.Fd())
	}
	process, err := userns.CommandWith(host.IDs, roleImage, []string{string(text)}, stdio)
	if err != nil {
		return err
	}
	return secondSelf(process)
}

// answer is run, and gives what the second self printed.
func (r imageRequest) answer(host container.Host, in *os.File) (string, error) {
	return captured(func(out *os.File) error { return r.run(host, in, out) })
}

// captured gives what is written meanwhile.
func captured(do func(out *os.File) error) (string, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return "", fmt.Errorf("making a pipe: %w", err)
	}
	defer reader.Close()
	text := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(reader)
		text <- string(b)
	}()
	err = do(writer)
	writer.Close()
	return <-text, err
}

// imageInside is the second self.
func imageInside(s Streams, args []string) error {
	var r imageRequest
	if len(args) != 1 {
		return errors.New(roleImage + " is for rl itself")
	}
	if err := json.Unmarshal([]byte(args[0]), &r); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	switch {
	case r.Save != nil:
		return r.saveInside(ctx, s)
	case r.Import != nil:
		return r.importInside(ctx, s)
	case r.Push != nil:
		return r.pushInside(ctx, s)
	case r.PushList != nil:
		return r.pushListInside(ctx, s)
	case r.Check != nil:
		return checkInside(ctx, s, *r.Check)
	case r.Reset != nil:
		return resetInside(*r.Reset)
	case r.Load != nil:
		return r.loadInside(ctx, s)
	case r.Diff != nil:
		return diffInside(s.Out, *r.Diff)
	case r.Remove != nil:
		return removeImagesInside(s, *r.Remove)
	case r.Share != nil:
		return r.shareInside(ctx, s)
	}
	return errors.New(roleImage + ": an empty request")
}

// tell says what is done, on standard error.
func (r imageRequest) tell(s Streams) func(string) {
	if r.Quiet {
		return nil
	}
	return func(text string) { fmt.Fprintln(s.Err, text) }
}
