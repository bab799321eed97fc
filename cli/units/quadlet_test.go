package units

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// quadletOf makes a set of files of NAME and text.
func quadletOf(t *testing.T, files ...string) *Quadlet {
	t.Helper()
	q := &Quadlet{Program: "/bin/rl", User: true, Files: map[string]*File{},
		Has:    func(command, flag string) bool { return flag != "--uidmap" },
		Check:  func(command string, words []string) error { return check(words) },
		Exists: func(path string) bool { return path == "/dev/there" }}
	for n := 0; n < len(files); n += 2 {
		f, err := Parse("/etc/q/"+files[n], files[n+1])
		if err != nil {
			t.Fatal(err)
		}
		q.Files[files[n]] = f
	}
	return q
}

func check(words []string) error {
	if words[0] == "bad" {
		return errors.New("bad is no flag")
	}
	return nil
}

// TestContainerKeys: what a key becomes between the fixed words and the image.
func TestContainerKeys(t *testing.T) {
	for _, c := range []struct{ keys, want string }{
		{"", ""},
		{"AddCapability=CAP_A CAP_B\nAddCapability=CAP_C\nDropCapability=all", "--cap-add CAP_A --cap-add CAP_B --cap-add CAP_C --cap-drop all"},
		{"AddDevice=/dev/a:/dev/b:r\nAddDevice=-/dev/there\nAddDevice=-/dev/missing", "--device /dev/a:/dev/b:r --device /dev/there"},
		{`Environment=A=b "C=d e" F='g"'` + "\nEnvironment=H=%i$I", `--env A=b --env "C=d e" --env "F=g\"" --env H=%i$I`},
		{"Environment=A=b\nEnvironment=\nEnvironment=C=d", "--env C=d"},
		{"Label=a=b\nAnnotation=c=d\nAutoUpdate=registry", "--annotation c=d --label=io.containers.autoupdate=registry --label a=b"},
		{"EnvironmentFile=env\nEnvironmentFile=/abs\nEnvironmentFile=%h/x\nEnvironmentFile=./%n/y", "--env-file /etc/q/env --env-file /abs --env-file %h/x --env-file /etc/q/%n/y"},
		{"EnvironmentHost=yes\nReadOnly=true\nReadOnlyTmpfs=no\nRunInit=1\nNoNewPrivileges=on", "--env-host --security-opt=no-new-privileges --read-only --read-only-tmpfs=false --init"},
		{"EnvironmentHost=no\nReadOnly=false\nRunInit=0\nNoNewPrivileges=off", ""},
		{"User=1\nGroup=2", "--user 1:2"}, {"User=bin", "--user bin"},
		{"PublishPort=8080:80\nPublishPort=[::]:1:2\nExposeHostPort=50-59", "--expose 50-59 --publish 8080:80 --publish [::]:1:2"},
		{"HealthCmd=test -e /x && true\nHealthInterval=2m\nHealthOnFailure=kill", `--health-cmd "test -e /x && true" --health-interval 2m --health-on-failure kill`},
		{"Volume=/a:/b:ro\nVolume=./c:/d\nVolume=v:/e\nVolume=/anonymous\nVolume=data.volume:/f", "--volume /a:/b:ro --volume /etc/q/c:/d --volume v:/e --volume /anonymous --volume systemd-data:/f"},
		{"Mount=type=volume,source=data.volume,destination=/x\nMount=type=bind,src=./y,dst=/z", "--mount type=volume,source=systemd-data,destination=/x --mount type=bind,src=/etc/q/y,dst=/z"},
		{"Network=host", "--network host"}, {"Network=net.network:ip=10.1.1.1", "--network lan:ip=10.1.1.1"}, {"Network=other.container", "--network container:systemd-other"},
		{"Secret=s,type=env,target=T\nTmpfs=/work:size=1m\nTimezone=local\nSysctl=a=1 b=2\nUlimit=nofile=1:2", "--secret s,type=env,target=T --sysctl a=1 --sysctl b=2 --tz local --tmpfs /work:size=1m --ulimit nofile=1:2"},
		{"SeccompProfile=/s.json\nUnmask=ALL\nSecurityLabelDisable=true", "--security-opt=seccomp=/s.json --security-opt=label=disable --security-opt=unmask=ALL"},
		{`PodmanArgs=--cpus 2 "--label=a b"` + "\nRlArgs=-q", `--cpus 2 "--label=a b" -q`},
		{"LogDriver=journald\nLogOpt=tag=x\nMemory=1g\nPidsLimit=5\nShmSize=1m\nStopSignal=INT\nStopTimeout=3\nPull=never\nWorkingDir=/w\nHostName=h\nIP=10.0.0.1\nEntrypoint=[\"a\"]",
			`--entrypoint "[\"a\"]" --hostname h --ip 10.0.0.1 --log-driver journald --log-opt tag=x --memory 1g --pids-limit 5 --pull never --shm-size 1m --stop-signal INT --stop-timeout 3 --workdir /w`},
	} {
		q := quadletOf(t, "a.container", "[Container]\nImage=i\n"+c.keys+"\n", "data.volume", "[Volume]\n", "net.network", "[Network]\nNetworkName=lan\n", "other.container", "[Container]\nImage=o\n")
		u, err := q.Convert("a.container")
		if err != nil {
			t.Errorf("%s: %v", c.keys, err)
			continue
		}
		want := strings.Join(strings.Fields("ExecStart=/bin/rl run --name systemd-%N --cidfile=%t/%N.cid --replace --rm --cgroups=split --sdnotify=conmon -d "+strings.ReplaceAll(c.want, " ", "\x00")+" i"), " ")
		want = strings.ReplaceAll(want, "\x00", " ")
		if !strings.Contains(u.Text, "\n"+want+"\n") {
			t.Errorf("%s\nbecame\n%s\nwant\n%s", c.keys, u.Text, want)
		}
	}
}

func TestContainerUnit(t *testing.T) {
	q := quadletOf(t, "my.container", "[Unit]\nDescription=d\nAfter=x.service data.volume\n[Container]\nImage=i\nContainerName=n\nExec=sh -c 'a \"b\"' %i\nVolume=data.volume:/d\nVolume=/srv/x:/x\n"+
		"Notify=yes\nCgroupsMode=enabled\nReloadSignal=HUP\nGlobalArgs=--log-level debug\n[Service]\nRestart=always\n[Install]\nWantedBy=default.target a.target\nAlias=al.service\n", "data.volume", "[Volume]\nServiceName=store\n")
	u, err := q.Convert("my.container")
	if err != nil {
		t.Fatal(err)
	}
	want := Generated + `

[Unit]
SourcePath=/etc/q/my.container
RequiresMountsFor=%h/.local/share/rl
Requires=store.service
After=store.service
RequiresMountsFor=/srv/x
Description=d
After=x.service store.service

[X-Container]
Image=i
ContainerName=n
Exec=sh -c 'a "b"' %i
Volume=data.volume:/d
Volume=/srv/x:/x
Notify=yes
CgroupsMode=enabled
ReloadSignal=HUP
GlobalArgs=--log-level debug

[Service]
Environment=PODMAN_SYSTEMD_UNIT=%n
Restart=always
KillMode=mixed
Delegate=yes
SyslogIdentifier=%N
Type=notify
NotifyAccess=all
ExecStartPre=/bin/rm -f %t/%N.cid
ExecStart=/bin/rl --log-level debug run --name n --cidfile=%t/%N.cid --replace --rm --cgroups=enabled --sdnotify=container -d --volume systemd-data:/d --volume /srv/x:/x i sh -c "a \"b\"" %i
ExecStop=/bin/rl stop --ignore --cidfile=%t/%N.cid
ExecStopPost=-/bin/rl rm -v -f -i --cidfile=%t/%N.cid
ExecReload=/bin/rl kill --signal HUP --cidfile=%t/%N.cid

[Install]
WantedBy=default.target a.target
Alias=al.service
`
	if u.Name != "my.service" || u.Text != want {
		t.Errorf("%s:\n%s", u.Name, u.Text)
	}
	if got := fmt.Sprint(u.Links); got != "[{al.service my.service} {default.target.wants/my.service ../my.service} {a.target.wants/my.service ../my.service}]" {
		t.Errorf("links: %s", got)
	}
}

func TestOtherUnits(t *testing.T) {
	for _, c := range []struct{ name, text, service, want string }{
		{"d.volume", "[Volume]\n", "d-volume.service", "ExecStart=/bin/rl volume create --ignore systemd-d"},
		{"d.volume", "[Volume]\nVolumeName=v\nLabel=a=b\nType=tmpfs\nDevice=tmpfs\nOptions=size=1m\nUser=5\nGroup=6\nCopy=false\nPodmanArgs=--x", "d-volume.service",
			"ExecStart=/bin/rl volume create --ignore --opt=nocopy --opt=device=tmpfs --label a=b --opt=type=tmpfs --opt=o=size=1m,uid=5,gid=6 --x v"},
		{"n.network", "[Network]\nSubnet=10.5.0.0/24\nGateway=10.5.0.1\nInternal=true\nDisableDNS=no\nOptions=mtu=1400\nNetworkDeleteOnStop=true", "n-network.service",
			"ExecStart=/bin/rl network create --ignore --gateway 10.5.0.1 --internal --opt mtu=1400 --subnet 10.5.0.0/24 systemd-n\nExecStopPost=/bin/rl network rm systemd-n"},
		{"t@.container", "[Container]\nImage=i\n[Install]\nWantedBy=x.target", "t@.service", "ExecStart=/bin/rl run --name systemd-%p_%i --cidfile"},
		{"o.container", "[Container]\nImage=i\n[Service]\nType=oneshot", "o.service", "--cgroups=split i"},
		{"r.container", "[Container]\nRootfs=./root\nReloadCmd=echo 'a b'", "r.service", "-d --rootfs /etc/q/root\n"},
		{"r.container", "[Container]\nRootfs=./root\nReloadCmd=echo 'a b'", "r.service", "ExecReload=/bin/rl exec systemd-%N echo \"a b\"\n"},
	} {
		u, err := quadletOf(t, c.name, c.text).Convert(c.name)
		if err != nil || u.Name != c.service || !strings.Contains(u.Text, c.want) {
			t.Errorf("%s %s: %v %v", c.name, c.text, u, err)
		}
	}
	q := quadletOf(t, "s.container", "[Container]\nImage=i\n", "t@.container", "[Container]\nImage=i\n[Install]\nWantedBy=x.target\nDefaultInstance=5\n", "off.container", "[Container]\nImage=i\n[Quadlet]\nDefaultDependencies=false\n")
	q.User = false
	if u, err := q.Convert("s.container"); err != nil || !strings.Contains(u.Text, "\nWants=network-online.target\nAfter=network-online.target\n") {
		t.Errorf("of the system: %v %v", u, err)
	}
	if u, err := q.Convert("off.container"); err != nil || strings.Contains(u.Text, "network-online") {
		t.Errorf("without dependencies: %v %v", u, err)
	}
	if u, err := q.Convert("t@.container"); err != nil || fmt.Sprint(u.Links) != "[{x.target.wants/t@5.service ../t@.service}]" {
		t.Errorf("an instance: %v %v", u, err)
	}
}

func TestQuadletErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"[Container]\nImage=i\nImag=x", "/etc/q/a.container:3: Imag: unknown key in [Container]"},
		{"[Container]\nImage=i\n\nPod=p.pod", "/etc/q/a.container:4: Pod: not supported: "},
		{"[Container]\nImage=i\nUIDMap=0:1:2", "/etc/q/a.container:3: UIDMap: not supported: rl run has no --uidmap"},
		{"[Container]\nImage=i\n[Quadlet]\nX=y", "/etc/q/a.container:4: X: unknown key in [Quadlet]"},
		{"[Unit]\nDescription=d", "/etc/q/a.container: no section [Container]"},
		{"[Container]\nExec=x", "/etc/q/a.container: no Image or Rootfs key in [Container]"},
		{"[Container]\nImage=i\nRootfs=/x", ":3: Rootfs: not with Image"}, {"[Container]\nImage=b.build", ":2: Image: files .build are not supported"},
		{"[Container]\nImage=i\nGroup=5", ":3: Group: only with User"}, {"[Container]\nImage=i\nReadOnly=maybe", ":3: ReadOnly: maybe is neither true nor false"},
		{"[Container]\nImage=i\nNotify=healthy", ":3: Notify: healthy: not supported"}, {"[Container]\nImage=i\nVolume=no.volume:/x", ":3: Volume: there is no file no.volume"},
		{"[Container]\nImage=i\nNetwork=no.network", ":3: Network: there is no file no.network"}, {"[Container]\nImage=i\nEnvironment=\"a", ":3: Environment: the quote \" is not closed"},
		{"[Container]\nImage=i\nPodmanArgs=bad", ":3: PodmanArgs: bad is no flag"}, {"[Container]\nImage=i\nReloadCmd=a\nReloadSignal=b", ":4: ReloadSignal: not with ReloadCmd"},
		{"[Container]\nImage=i\n[Service]\nType=simple", ":4: Type: simple: notify or oneshot"}, {"[Container]\nImage=i\n[Service]\nKillMode=none", ":4: KillMode: none: "},
		{"[Unit]\nAfter=x.container\n[Container]\nImage=i", ":2: After: there is no file x.container"}, {"[Container]\nImage=i\n[Install]\nWantedBy=../x", ":4: WantedBy: ../x is not a name of a unit"},
		{"[Container]\nImage=i\nServiceName=../x", ":3: ServiceName: ../x is not a name"}, {"[Container]\nImage=i\n[Quadlet]\nDefaultDependencies=x", ":4: DefaultDependencies: x is neither"},
	} {
		u, err := quadletOf(t, "a.container", c.text).Convert("a.container")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n%v %v\nwant %s", c.text, u, err, c.want)
		}
	}
	q := quadletOf(t, "a.kube", "[Kube]\nYaml=x")
	for _, name := range []string{"a.kube", "b.container"} {
		if u, err := q.Convert(name); err == nil {
			t.Errorf("%s: %v", name, u)
		}
	}
}

// TestKeys: a key stands once, and all that rl could do has a flag.
func TestKeys(t *testing.T) {
	for _, table := range [][]key{containerKeys[:], volumeKeys[:], networkKeys[:]} {
		for n, k := range table {
			if find(table, k.name) != &table[n] {
				t.Errorf("%s: twice", k.name)
			}
			if k.kind != special && k.flag == "" || k.kind != refused && k.kind != special && !strings.HasPrefix(k.flag, "--") {
				t.Errorf("%s: %q", k.name, k.flag)
			}
		}
	}
}

// FuzzQuadlet: no file makes a unit that says more than was asked for: it has the sections of the file, and Exec lines are ours.
func FuzzQuadlet(f *testing.F) {
	for _, seed := range []string{"Image=i", "Image=i\nExec=a\\\nb\nEnvironment='x\\n[Service]\\nExecStart=y'", "Image=i\nVolume=.:/a\n[Install]\nWantedBy=a b", "Rootfs=%h\nUser=\\x0a", "Image=i\nServiceName=x\nLabel=\"\xff\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse("/q/a.container", "[Container]\n"+text)
		if err != nil {
			return
		}
		q := &Quadlet{Program: "/bin/rl", Files: map[string]*File{"a.container": file}, Has: func(string, string) bool { return true },
			Check: func(string, []string) error { return nil }, Exists: func(string) bool { return true }}
		u, err := q.Convert("a.container")
		if err != nil {
			return
		}
		again, err := Parse("unit", u.Text)
		if err != nil {
			t.Fatalf("%q: %v", u.Text, err)
		}
		for _, s := range again.Sections {
			if s.Name != "Unit" && s.Name != "Service" && s.Name != "X-Container" && s.Name != "X-Quadlet" && file.find(s.Name) == nil {
				t.Errorf("%q: section %s", text, s.Name)
			}
		}
		if n, own := len(again.All("Service", "ExecStart")), len(file.All("Service", "ExecStart")); n > own+1 {
			t.Errorf("%q: %d lines ExecStart:\n%s", text, n, u.Text)
		}
		for _, link := range u.Links {
			if strings.Contains(link.Name, "..") && strings.Contains(link.Name, "../") || strings.HasPrefix(link.Name, "/") {
				t.Errorf("%q: link %v", text, link)
			}
		}
	})
}
