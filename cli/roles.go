package cli

import (
	"os"
	"path"

	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage"
)

// Our binary starts again under these names, as root of a user namespace.
const (
	rolePull    = "rl-pull"
	roleBuiltin = "rl-builtin"
)

// roles are what runs under a name. They are no commands: what they are given
// comes from rl itself.
var roles = map[string]func(Streams, []string) error{
	rolePull:             pullInside,
	roleBuiltin:          builtinInside,
	container.RoleRemove: removeInside,
	start.RoleMonitor:    monitorInside,
	start.RoleTerminal:   monitorInside,
	roleCommit:           commitInside,
	roleTag:              tagInside,
	roleTree:             treeInside,
	roleImage:            imageInside,
	roleUnshare:          unshareInside,
	roleSize:             sizeInside,
	container.RoleFill:   fillInside,
	container.RoleCopyUp: copyUpInside,
	container.RoleDriver: driverInside,
	container.RoleCopy:   copyInside,
	roleVolume:           volumeInside,
	storage.RoleOverlay:  func(Streams, []string) error { return storage.ServeAsked(os.Stdin) },
}

// Role runs what argv[0] names; false when it names nothing of ours.
func Role(argv []string, s Streams) (int, bool) {
	run, ok := roles[argv[0]]
	if name := path.Base(argv[0]); name == userGenerator || name == systemGenerator { // by a link of any place
		run, ok = generator(name), true
	}
	if !ok {
		return 0, false
	}
	return start.Done(s, run(s, argv[1:])), true
}

// removeInside removes what belongs to ids of the user namespace.
func removeInside(_ Streams, paths []string) error {
	for _, path := range paths {
		if err := removeTree(path); err != nil {
			return err
		}
	}
	return nil
}
