package toolbox

import (
	"github.com/u-root/u-root/pkg/core"
	"github.com/u-root/u-root/pkg/core/base64"
	"github.com/u-root/u-root/pkg/core/cat"
	"github.com/u-root/u-root/pkg/core/chmod"
	"github.com/u-root/u-root/pkg/core/find"
	"github.com/u-root/u-root/pkg/core/mktemp"
	"github.com/u-root/u-root/pkg/core/mv"
	"github.com/u-root/u-root/pkg/core/shasum"
	"github.com/u-root/u-root/pkg/core/tar"
	"github.com/u-root/u-root/pkg/core/touch"
	"github.com/u-root/u-root/pkg/core/xargs"
)

type row struct {
	name string
	run  applet
}

// table of all applets but the shell, which needs its own exit codes.
func table() []row {
	return []row{
		{"base64", uroot(base64.New)}, {"cat", uroot(cat.New)}, {"chmod", uroot(chmod.New)}, {"cp", copyFiles},
		{"find", strict(find.New)}, {"gunzip", gzipTool("gunzip", "d")}, {"gzip", gzipTool("gzip", "")}, {"ls", list}, {"mkdir", makeDirs},
		{"mktemp", uroot(mktemp.New)}, {"mv", uroot(mv.New)}, {"rm", remove}, {"sha256sum", sha256sum},
		{"tar", uroot(tar.New)}, {"touch", uroot(touch.New)}, {"xargs", uroot(xargs.New)}, {"zcat", gzipTool("zcat", "cdf")},

		{"basename", basename}, {"date", date}, {"dirname", dirname}, {"echo", echo}, {"env", env}, {"false", func(stdio, []string) error { return status(1) }},
		{"head", head}, {"hostname", hostname}, {"id", id}, {"kill", kill}, {"ln", link}, {"ps", ps}, {"pwd", pwd},
		{"readlink", readlink}, {"rmdir", rmdir}, {"seq", seq}, {"sleep", sleep}, {"tail", tail}, {"tee", tee}, {"tr", tr},
		{"true", func(stdio, []string) error { return nil }}, {"tty", tty}, {"uname", uname}, {"wc", wc}, {"whoami", whoami},
	}
}

func lookup(name string) applet {
	for _, r := range table() {
		if r.name == name {
			return r.run
		}
	}
	return nil
}

// uroot runs a command of u-root.
func uroot(make func() core.Command) applet {
	return func(std stdio, args []string) error {
		c := make()
		c.SetIO(std.in, std.out, std.err)
		return c.Run(args...)
	}
}

func sha256sum(std stdio, args []string) error {
	return uroot(shasum.New)(std, append([]string{"-a", "256"}, args...))
}
