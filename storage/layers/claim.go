package layers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// ErrGone: a layer that was in the store has been removed from under a pull. To
// begin anew mends it.
var ErrGone = errors.New("the layer below was removed meanwhile")

const claimPoll = 20 * time.Millisecond // flock(2) cannot be waited for with a context

// Claim gives the right to bring a layer into the store. It waits for whoever
// has it, in this process or another, to have the layer committed, or to fail
// or be killed: so whoever gets it looks for the layer first. The lock files lie
// among the stagings, and are cleared with them.
//
// A holder waits for no more than the layers below its own: so no circle of
// them can wait for each other.
func (s *Store) Claim(ctx context.Context, chain digest.Digest) (release func(), err error) {
	file, err := os.OpenFile(filepath.Join(stagingRoot(s.dirs), chain.Encoded()+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("claiming layer %s: %w", chain, err)
	}
	err = lockAlone(ctx, file)
	if errors.Is(err, unix.ENOLCK) || errors.Is(err, unix.EOPNOTSUPP) { // without locks both do the work
		err = nil
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("claiming layer %s: %w", chain, err)
	}
	return func() { file.Close() }, nil
}

// lockAlone waits for those that have a lock.
func lockAlone(ctx context.Context, file *os.File) error {
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(claimPoll):
		}
	}
}
