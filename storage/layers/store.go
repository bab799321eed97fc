// Package layers is the writing side of the image store: it feeds
// containers/storage, which is too slow to open on the way to a container, and
// keeps the index that package storage reads.
//
// Its callers run as root of a user namespace that has the user's id maps and
// a mount namespace of its own. Layers are unpacked by the caller into a
// directory beside the store, which then becomes the layer by a rename; no
// archive goes through containers/storage.
//
// A layer that no image names is removed by the next Close that has the store
// for itself: so a pull that fails, or is killed, leaves nothing for long.
//
// What the index names is whole, also after a power cut: all of an image is on
// the disk, by one syncfs(2), before its entry is. What the index does not name
// may be anything then, whatever the store's records say, and is removed by the
// first Open after the machine's start.
package layers

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	"github.com/sirupsen/logrus"
	cstorage "go.podman.io/storage"
	"golang.org/x/sys/unix"

	"containers/rl/storage"
)

// Store is an open image store. Its methods may be called side by side.
type Store struct {
	dirs  storage.Dirs
	store cstorage.Store
	users *os.File // shared lock: a pull is going on
}

// Open opens the store, and makes it the first time.
func Open(d storage.Dirs) (*Store, error) {
	logrus.SetOutput(io.Discard) // what goes wrong comes back as an error
	for _, dir := range []string{d.Graph(), stagingRoot(d), d.Frames()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("making the store: %w", err)
		}
	}
	users, err := openLock(d, usersLock)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(users.Fd()), unix.LOCK_SH); err != nil {
		users.Close()
		return nil, fmt.Errorf("locking the store: %w", err)
	}
	store, err := openLocked(d, users)
	if err != nil {
		users.Close()
		return nil, err
	}
	return &Store{d, store, users}, nil
}

// usersLock is held by those that have the store open.
const usersLock = "pulls.lock"

func openLock(d storage.Dirs, name string) (*os.File, error) {
	err := os.MkdirAll(d.Data, 0o700)
	var file *os.File
	if err == nil {
		file, err = os.OpenFile(filepath.Join(d.Data, name), os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	return file, nil
}

// openLocked opens the store whose lock is held.
func openLocked(d storage.Dirs, users *os.File) (cstorage.Store, error) {
	if err := mendLinks(d.Graph()); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	store, err := openGraph(d)
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", d.Graph(), explain(d, err))
	}
	if err := afterBoot(d, store, users); err != nil {
		_, _ = store.Shutdown(false)
		return nil, fmt.Errorf("clearing the store after the machine's start: %w", err)
	}
	return store, nil
}

// openGraph opens what containers/storage keeps: by its driver for overlay, also
// where no overlay can be mounted, as nothing is mounted here.
func openGraph(d storage.Dirs) (cstorage.Store, error) {
	if err := checkRecords(d); err != nil {
		return nil, err
	}
	options := cstorage.StoreOptions{
		RunRoot:            filepath.Join(d.Run, "storage"),
		GraphRoot:          d.Graph(),
		GraphDriverName:    "overlay",
		GraphDriverOptions: []string{"overlay.skip_mount_home=true"},
	}
	driver, err := d.TryDriver()
	if err != nil && !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) { // then images are removed to make room
		return nil, err
	}
	if driver.Name == storage.Overlay {
		return getStore(options)
	}
	if options.GraphRoot, err = aside(d); err != nil {
		return nil, err
	}
	// A program that mounts is taken to know better than the kernel; it is never run.
	options.GraphDriverOptions = append(options.GraphDriverOptions, "overlay.mount_program=/proc/self/exe")
	store, err := getStore(options)
	_ = os.Remove(filepath.Join(d.Graph(), "overlay", ".has-mount-program")) // or it would be asked for ever
	return store, err
}

// graphParts are what containers/storage has in its graph root, by its driver's name.
var graphParts = [...]string{"overlay", "overlay-images", "overlay-layers", "overlay-containers"}

// aside makes a graph root in the run directory whose parts are links to those of
// the store. containers/storage refuses a graph root on a network file system, as
// overlay would, or writes attributes to it that NFS does not have; it looks at no
// more than the directory itself. All that it writes goes to the store.
func aside(d storage.Dirs) (string, error) {
	root := filepath.Join(d.Run, "graph")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return "", err
	}
	for _, part := range graphParts {
		place, link := filepath.Join(d.Graph(), part), filepath.Join(root, part)
		if err := os.MkdirAll(place, 0o700); err != nil {
			return "", err
		}
		if old, err := os.Readlink(link); err == nil && old == place {
			continue
		}
		made := fmt.Sprintf("%s.%d", link, os.Getpid())
		_ = os.Remove(made)
		if err := errors.Join(os.Symlink(place, made), os.Rename(made, link)); err != nil {
			return "", err
		}
	}
	return root, nil
}

// networkFileSystems are those where neither an overlay's upper directory nor
// files of other ids can be, by their magic numbers (statfs(2)).
var networkFileSystems = map[int64]string{unix.NFS_SUPER_MAGIC: "NFS", unix.SMB_SUPER_MAGIC: "SMB", unix.SMB2_SUPER_MAGIC: "SMB", unix.CIFS_SUPER_MAGIC: "SMB",
	unix.V9FS_MAGIC: "9P", unix.AFS_FS_MAGIC: "AFS", 0x0bd00bd0: "Lustre", 0x47504653: "GPFS", 0x19830326: "BeeGFS"}

// explain says what a damaged record, or a network file system, has to do with it.
func explain(d storage.Dirs, err error) error {
	for file, damage := range BrokenRecords(d) {
		return fmt.Errorf("the record %s cannot be read: %w: rl system check --repair", file, damage)
	}
	if driver, ok := d.Driver(); ok && driver.Name != storage.Overlay {
		return err // that one works there
	}
	dir := d.Graph()
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil || networkFileSystems[int64(st.Type)] == "" {
		return err
	}
	return fmt.Errorf("it is on %s, which takes neither overlay nor subordinate ids: put the store on a local file system: export XDG_DATA_HOME=/tmp/$USER: %w", networkFileSystems[int64(st.Type)], err)
}

// getStore keeps the user's storage.conf out, which the library reads even
// though all is given: what is wrong in that file is podman's matter.
func getStore(options cstorage.StoreOptions) (cstorage.Store, error) {
	const key = "CONTAINERS_STORAGE_CONF"
	if old, set := os.LookupEnv(key); set {
		defer os.Setenv(key, old)
	} else {
		defer os.Unsetenv(key)
	}
	if err := os.Setenv(key, os.DevNull); err != nil {
		return nil, err
	}
	return cstorage.GetStore(options)
}

// incomplete is the flag that containers/storage has on a layer being made, or
// removed: also on one whose removal, after it could not be made, failed as well.
const incomplete = "incomplete"

// HasLayer says whether the layer with this chain id is complete in the store.
func (s *Store) HasLayer(chainID digest.Digest) bool {
	layer, err := s.store.Layer(chainID.Encoded())
	return err == nil && layer.Flags[incomplete] == nil
}

// clearIncomplete removes what HasLayer does not count: a layer made in its place
// would have the flag as well, and go with the next opening of the store.
func (s *Store) clearIncomplete(chainID digest.Digest) error {
	layer, err := s.store.Layer(chainID.Encoded())
	if err != nil || layer.Flags[incomplete] == nil {
		return nil
	}
	return s.store.DeleteLayer(layer.ID)
}

// Close removes what was left of pulls that failed, and closes the store.
func (s *Store) Close() error {
	if s.users == nil {
		return nil
	}
	defer func() { s.users.Close(); s.users = nil }()
	// Only the last one knows that a layer without image is no one's.
	if unix.Flock(int(s.users.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		if err := s.sweep(); err != nil {
			return fmt.Errorf("clearing the store: %w", err)
		}
	}
	_, err := s.store.Shutdown(false)
	return err
}
