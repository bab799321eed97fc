package cli

import (
	"io"
	"runtime"

	"containers/rl/cli/flags"
	"containers/rl/cli/self"
)

// versionFacts has podman's names and docker's.
type versionFacts struct {
	APIVersion    string
	Version       string
	GoVersion     string
	GitCommit     string
	BuiltTime     string
	Built         int64
	OsArch        string
	Os            string
	APIversion    string `json:"-"`
	Arch          string
	MinAPIVersion string
}

// versions: who asks for the server's means the same rl.
type versions struct {
	Client, Server *versionFacts
	// Version and others are the client's, as podman's templates have it.
	versionFacts `json:"-"`
}

func ourVersion() versionFacts {
	return versionFacts{APIVersion: self.Version, Version: self.Version, GoVersion: runtime.Version(), OsArch: runtime.GOOS + "/" + runtime.GOARCH,
		Os: runtime.GOOS, Arch: runtime.GOARCH, MinAPIVersion: self.Version}
}

func versionFlags(f *flags.Set) func(Streams, []string) error {
	format := f.StringP("format", "f", "", "json, or a template")
	return func(s Streams, args []string) error {
		if err := exactly("version", args, 0); err != nil {
			return err
		}
		ours := ourVersion()
		v := versions{Client: &ours, Server: &ours, versionFacts: ours}
		switch *format {
		case "":
			_, err := io.WriteString(s.Out, self.Text())
			return err
		case "json":
			return printJSON(s.Out, v)
		}
		return printInspected(s, []any{v}, *format)
	}
}
