package container

import (
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	netconfig "containers/rl/netslirp/config"
	"containers/rl/storage"
)

// Network says which network a container gets.
type Network int

// The networks of the first slice.
const (
	NetworkSlirp Network = iota // the stack inside rl
	NetworkNone                 // loopback only
	NetworkHost                 // the host's namespace
)

// Options are what `rl run` was asked for. The zero value of each field means
// docker's default.
type Options struct {
	ID, Name string
	Image    *storage.Image // nil with Rootfs
	Rootfs   string         // a directory to run in place of an image

	Args        []string // what follows the image
	Entrypoint  []string // replaces the image's when EntrypointSet
	EntrySet    bool
	Env         []string // NAME=VALUE, after the image's
	WorkingDir  string
	User        string // as docker: name|uid[:group|gid]
	Hostname    string
	Mounts      []specs.Mount
	ReadOnly    bool
	CapAdd      []string
	CapDrop     []string
	Seccomp     *specs.LinuxSeccomp // nil: the default profile, compiled beforehand
	Unconfined  bool                // no seccomp filter
	NewPrivs    bool                // allow the gaining of privileges
	Unmask      bool                // no masked and read-only paths
	Privileged  bool                // everything, inside the user namespace
	Init        bool
	TTY         bool
	Interactive bool
	Remove      bool
	Rlimits     []specs.POSIXRlimit
	ShmSize     int64 // bytes; 0: 64 MiB

	Network    Network
	Offline    bool // where no network can be had, do without: none was asked for by name
	Slirp      netconfig.Network
	DNS        []string
	DNSSearch  []string
	DNSOptions []string
	AddHost    []string
	HostPID    bool
	HostIPC    bool
	HostUTS    bool
	HostCgroup bool
	KeepID     bool

	Stdin          *os.File
	Stdout, Stderr *os.File
}
