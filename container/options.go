package container

import (
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"containers/rl/cgroups"
	netconfig "containers/rl/netslirp/config"
	"containers/rl/storage"
)

// Network says which network a container gets.
type Network int

// The networks of the first slice.
const (
	NetworkSlirp  Network = iota // the stack inside rl
	NetworkNone                  // loopback only
	NetworkHost                  // the host's namespace
	NetworkJoined                // that of Joins
)

// String is the network's name.
func (n Network) String() string {
	return [...]string{"slirp", "none", "host", "joined"}[n]
}

// Options are what `rl run` was asked for. The zero value of each field means
// docker's default, and takes no room in a container's record.
type Options struct {
	ID, Name  string         `json:",omitzero"`
	Image     *storage.Image `json:"-"`         // nil with Rootfs
	ImageName string         `json:",omitzero"` // as it was asked for
	Rootfs    string         `json:",omitzero"` // a directory to run in place of an image

	Args        []string            `json:",omitzero"` // what follows the image
	Entrypoint  []string            `json:",omitzero"` // replaces the image's when EntrypointSet
	EntrySet    bool                `json:",omitzero"`
	Env         []string            `json:",omitzero"` // NAME=VALUE, after the image's
	HostEnv     []string            `json:",omitzero"` // before the image's
	WorkingDir  string              `json:",omitzero"`
	User        string              `json:",omitzero"` // as docker: name|uid[:group|gid]
	GroupAdd    []string            `json:",omitzero"` // more groups, by name or number
	KeepGroups  bool                `json:",omitzero"` // the user's own, which have no number inside
	Umask       int                 `json:",omitzero"`
	Hostname    string              `json:",omitzero"`
	Mounts      []specs.Mount       `json:",omitzero"` // also of TypeVolume and TypeImage
	Secrets     []Secret            `json:",omitzero"`
	ReadOnly    bool                `json:",omitzero"`
	CapAdd      []string            `json:",omitzero"`
	CapDrop     []string            `json:",omitzero"`
	Seccomp     *specs.LinuxSeccomp `json:",omitzero"` // nil: the default profile, compiled beforehand
	Unconfined  bool                `json:",omitzero"` // no seccomp filter
	NewPrivs    bool                `json:",omitzero"` // allow the gaining of privileges
	Unmask      bool                `json:",omitzero"` // no masked and read-only paths
	Privileged  bool                `json:",omitzero"` // everything, inside the user namespace
	Init        bool                `json:",omitzero"`
	TTY         bool                `json:",omitzero"`
	Interactive bool                `json:",omitzero"`
	Remove      bool                `json:",omitzero"`
	Rlimits     []specs.POSIXRlimit `json:",omitzero"`
	ShmSize     int64               `json:",omitzero"` // bytes; 0: 64 MiB

	Detached    bool              `json:",omitzero"` // no one is at our streams
	StdinOnce   bool              `json:",omitzero"` // who is attached may end standard input
	NoLog       bool              `json:",omitzero"` // keep nothing of what it writes
	Log         Log               `json:",omitzero"`
	Labels      map[string]string `json:",omitzero"` // NAME -> VALUE
	Annotations map[string]string `json:",omitzero"` // of the specification
	Health      *Health           `json:",omitzero"` // nil: the image's, if it has one
	Restart     string            `json:",omitzero"` // a restart policy; "": none
	RestartMax  int               `json:",omitzero"` // of on-failure; 0: no limit
	StopSignal  string            `json:",omitzero"` // "": the image's, or SIGTERM
	StopTimeout int               `json:",omitzero"` // seconds until SIGKILL follows it

	Network    Network           `json:",omitzero"`
	Offline    bool              `json:",omitzero"` // where no network can be had, do without: none was asked for by name
	Slirp      netconfig.Network `json:",omitzero"`
	DNS        []string          `json:",omitzero"`
	DNSSearch  []string          `json:",omitzero"`
	DNSOptions []string          `json:",omitzero"`
	AddHost    []string          `json:",omitzero"`
	Naming     *Naming           `json:",omitzero"` // nil: nothing was asked for
	Ports      []netconfig.Port  `json:",omitzero"` // published
	Exposed    []string          `json:",omitzero"` // "80/tcp", beside the image's
	PublishAll bool              `json:",omitzero"`
	HostPID    bool              `json:",omitzero"`
	HostIPC    bool              `json:",omitzero"`
	HostUTS    bool              `json:",omitzero"`
	HostCgroup bool              `json:",omitzero"`
	KeepID     bool              `json:",omitzero"`
	KeepAs     string            `json:",omitzero"` // "UID:GID" of the user inside, with KeepID; "": his own
	Joins      *Joins            `json:",omitzero"` // namespaces of others; nil: none
	NoShm      bool              `json:",omitzero"` // nothing on /dev/shm, and nobody may join the ipc namespace
	PrivateIPC bool              `json:",omitzero"` // nobody may join it
	Pod        *Membership       `json:",omitzero"` // nil: it belongs to none

	Limits *cgroups.Limits `json:",omitzero"` // nil: no cgroup of its own

	CreateCommand    []string          `json:"-"` // the words after rl that made it; the record has them
	ImageVolumes     string            `json:"-"` // what becomes of those that the image declares
	driver           storage.Driver    // that the root is made with; no name: not decided, or none
	volumes          []*storage.Volume // held
	anonymousVolumes []string          // made for this container
	ownedVolumes     []string          // made for this container, with o=uid=,gid=

	Rare *Rare `json:",omitzero"`

	PreserveFDs  int      `json:"-"`         // descriptors from 3 on that the program gets
	ListenFDs    int      `json:"-"`         // the first of them, for sd_listen_fds(3)
	ListenNames  []string `json:"-"`         // LISTEN_FDNAMES=...
	NotifySocket string   `json:"-"`         // for sd_notify(3)
	HostName     string   `json:",omitzero"` // the user's on the host, with KeepID

	Keys  []byte                `json:"-"` // that leave a terminal; none: nobody can leave
	Leave func(id string) error `json:"-"` // lets the user go

	Stdin          *os.File `json:"-"`
	Stdout, Stderr *os.File `json:"-"`
}
