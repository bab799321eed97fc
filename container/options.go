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

// String is the network's name.
func (n Network) String() string { return [...]string{"slirp", "none", "host"}[n] }

// Options are what `rl run` was asked for. The zero value of each field means
// docker's default.
type Options struct {
	ID, Name  string
	Image     *storage.Image `json:"-"` // nil with Rootfs
	ImageName string         // as it was asked for
	Rootfs    string         // a directory to run in place of an image

	Args        []string // what follows the image
	Entrypoint  []string // replaces the image's when EntrypointSet
	EntrySet    bool
	Env         []string // NAME=VALUE, after the image's
	HostEnv     []string // before the image's
	WorkingDir  string
	User        string   // as docker: name|uid[:group|gid]
	GroupAdd    []string // more groups, by name or number
	KeepGroups  bool     // the user's own, which have no number inside
	Umask       int
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

	Detached    bool              // no one is at our streams
	StdinOnce   bool              // who is attached may end standard input
	NoLog       bool              // keep nothing of what it writes
	Labels      map[string]string // NAME -> VALUE
	Annotations map[string]string // of the specification
	Health      *Health           // nil: the image's, if it has one
	Restart     string            // a restart policy; "": none
	RestartMax  int               // of on-failure; 0: no limit
	StopSignal  string            // "": the image's, or SIGTERM
	StopTimeout int               // seconds until SIGKILL follows it

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

	Stdin          *os.File `json:"-"`
	Stdout, Stderr *os.File `json:"-"`
}

// logged: the output of a container that stays goes into its log. Of one in the
// foreground that is removed at its end, nobody could read it.
func (o *Options) logged() bool {
	return !o.TTY && (o.Detached || !o.Remove && !o.NoLog)
}
