package cli

// Groups of docker's and podman's: `rl container ls` is `rl ps`. What is not
// here has the same word with and without its group. nil: there is no such group.
func groupOf(name string) map[string][]string {
	switch name {
	case "container":
		return map[string][]string{
			"attach": {"attach"}, "clone": {"container clone"}, "commit": {"commit"}, "cp": {"cp"}, "diff": {"diff"}, "export": {"export"}, "create": {"create"}, "exec": {"exec"}, "inspect": {"inspect", "--type", "container"}, "kill": {"kill"},
			"list": {"ps"}, "logs": {"logs"}, "ls": {"ps"}, "pause": {"pause"}, "port": {"port"}, "ps": {"ps"}, "rename": {"rename"}, "restart": {"restart"},
			"rm": {"rm"}, "run": {"run"}, "stats": {"stats"}, "start": {"start"}, "stop": {"stop"}, "top": {"top"}, "unpause": {"unpause"}, "update": {"update"}, "wait": {"wait"},
			"exists": {"container exists"}, "prune": {"container prune"}, "cleanup": {"container cleanup"}, "checkpoint": {"container checkpoint"},
			"restore": {"container restore"}, "runlabel": {"container runlabel"}, "init": {"init"}, "mount": {"mount"}, "umount": {"umount"}, "unmount": {"umount"},
		}
	case "pod":
		return map[string][]string{
			"create": {"pod create"}, "clone": {"pod clone"}, "start": {"pod start"}, "stop": {"pod stop"}, "restart": {"pod restart"}, "kill": {"pod kill"}, "pause": {"pod pause"},
			"unpause": {"pod unpause"}, "rm": {"pod rm"}, "prune": {"pod prune"}, "ps": {"pod ps"}, "ls": {"pod ps"}, "list": {"pod ps"}, "inspect": {"pod inspect"},
			"exists": {"pod exists"}, "logs": {"pod logs"}, "top": {"pod top"}, "stats": {"pod stats"},
		}
	case "system":
		return map[string][]string{"prune": {"system prune"}, "info": {"info"}, "events": {"events"}, "check": {"system check"}, "df": {"system df"}, "migrate": {"system migrate"}, "renumber": {"system renumber"}, "reset": {"system reset"}}
	case "secret":
		return map[string][]string{
			"create": {"secret create"}, "ls": {"secret ls"}, "list": {"secret ls"}, "inspect": {"secret inspect"}, "rm": {"secret rm"}, "remove": {"secret rm"}, "exists": {"secret exists"},
		}
	case "volume":
		return map[string][]string{
			"create": {"volume create"}, "ls": {"volume ls"}, "list": {"volume ls"}, "inspect": {"volume inspect"}, "rm": {"volume rm"}, "remove": {"volume rm"},
			"prune": {"volume prune"}, "exists": {"volume exists"}, "export": {"volume export"}, "import": {"volume import"}, "reload": {"volume reload"},
			"mount": {"volume mount"}, "umount": {"volume umount"}, "unmount": {"volume umount"},
		}
	case "network":
		return map[string][]string{
			"create": {"network create"}, "exists": {"network exists"}, "inspect": {"network inspect"}, "list": {"network ls"}, "ls": {"network ls"},
			"prune": {"network prune"}, "reload": {"network reload"}, "remove": {"network rm"}, "rm": {"network rm"},
		}
	case "healthcheck":
		return map[string][]string{"run": {"healthcheck run"}}
	case "generate":
		return map[string][]string{"systemd": {"generate systemd"}, "quadlet": {"generate quadlet"}}
	case "manifest":
		return map[string][]string{
			"add": {"manifest add"}, "annotate": {"manifest annotate"}, "create": {"manifest create"}, "exists": {"manifest exists"}, "inspect": {"manifest inspect"},
			"push": {"manifest push"}, "remove": {"manifest remove"}, "rm": {"manifest rm"},
		}
	case "image":
		return map[string][]string{
			"diff": {"image diff"}, "exists": {"image exists"}, "history": {"history"}, "import": {"import"}, "inspect": {"inspect", "--type", "image"}, "list": {"images"}, "load": {"load"},
			"mount": {"image mount"}, "umount": {"image umount"}, "unmount": {"image umount"},
			"ls": {"images"}, "prune": {"image prune"}, "pull": {"pull"}, "push": {"push"}, "rm": {"rmi"}, "save": {"save"}, "scp": {"image scp"}, "search": {"search"}, "sign": {"image sign"}, "tag": {"tag"}, "trust": {"image trust"}, "tree": {"image tree"}, "untag": {"untag"},
		}
	}
	return nil
}

// ungroup gives the command line of a command in a group.
func ungroup(args []string) []string {
	if len(args) > 1 {
		if words, ok := groupOf(args[0])[args[1]]; ok {
			return append(append([]string{}, words...), args[2:]...)
		}
	}
	return args
}
