package image

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"containers/rl/storage"
)

func TestApplyChange(t *testing.T) {
	c := runConfig{}
	c.Env = []string{"A=1", "B=2"}
	for _, line := range []string{`CMD ["a", "b c"]`, "entrypoint run it", "ENV A=3", `env C "x y"`, "LABEL l=v=w", "LABEL m=", "USER u:g", "WORKDIR /w", "STOPSIGNAL 9", "EXPOSE 80 53/udp", `VOLUME ["/v"]`, "VOLUME /x /y"} {
		if err := c.apply(line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	want := runConfig{ImageConfig: imagespec.ImageConfig{Env: []string{"A=3", "B=2", "C=x y"}, Cmd: []string{"a", "b c"}, Entrypoint: []string{"/bin/sh", "-c", "run it"}, User: "u:g", WorkingDir: "/w",
		StopSignal: "9", Labels: map[string]string{"l": "v=w", "m": ""}, ExposedPorts: map[string]struct{}{"80/tcp": {}, "53/udp": {}}, Volumes: map[string]struct{}{"/v": {}, "/x": {}, "/y": {}}}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v\nwant %+v", c, want)
	}
	if err := c.apply("CMD=one two"); err != nil || !reflect.DeepEqual(c.Cmd, []string{"/bin/sh", "-c", "one two"}) {
		t.Errorf("CMD=one two: %v, %q", err, c.Cmd)
	}
	for _, line := range []string{"", "FROM x", "ENV", "ENV =x", "RUN true", "CMD", "ENTRYPOINT ", "USER", "VOLUME", "VOLUME []", "WORKDIR", "ONBUILD", "ONBUILD FROM x", "onbuild onbuild RUN x",
		"EXPOSE", "EXPOSE x", "EXPOSE 99999", "EXPOSE 0", "EXPOSE 90-92", "EXPOSE 90/foo", "STOPSIGNAL nonsense", "STOPSIGNAL 65", "STOPSIGNAL 0", "LABEL a", `ENV A="x`, `LABEL a='x`} {
		if err := c.apply(line); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
}

// Quotes and directories are read as in a Dockerfile.
func TestApplyQuoted(t *testing.T) {
	c := runConfig{}
	for _, line := range []string{`LABEL a="b c" d=e`, `LABEL f='g "h' i=j\ k "l m"=n`, `LABEL o="p \"q\" \r \\" s='\t'`, `ENV A=1 B="2 3" C=$A`, "LABEL v=w x y z=", "WORKDIR /x/../y", "WORKDIR z/..", "WORKDIR ../v", `WORKDIR "w w"`,
		"STOPSIGNAL sigusr1", "STOPSIGNAL RTMIN+3", `USER "u"`, `VOLUME "/a b" /c`, "EXPOSE 1/TCP", "ONBUILD RUN x", "ONBUILD USER y"} {
		if err := c.apply(line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	want := runConfig{OnBuild: []string{"RUN x", "USER y"}, ImageConfig: imagespec.ImageConfig{Env: []string{"A=1", "B=2 3", "C=$A"}, User: "u", WorkingDir: "/v/w w", StopSignal: "RTMIN+3",
		Labels:       map[string]string{"a": "b c", "d": "e", "f": `g "h`, "i": "j k", "l m": "n", "o": `p "q" \r \`, "s": `\t`, "v": "w x y", "z": ""},
		ExposedPorts: map[string]struct{}{"1/tcp": {}}, Volumes: map[string]struct{}{"/a b": {}, "/c": {}}}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v\nwant %+v", c, want)
	}
}

// What docker knows and the specification does not stays.
func TestFullConfig(t *testing.T) {
	var c fullConfig
	err := json.Unmarshal([]byte(`{"os":"linux","config":{"User":"u","Healthcheck":{"Test":["CMD","x"],"More":1},"Shell":["/s"],"OnBuild":["RUN x"],"Other":1}}`), &c)
	raw, encodeErr := json.Marshal(c)
	for _, part := range []string{`"Healthcheck":{"Test":["CMD","x"],"More":1}`, `"Shell":["/s"]`, `"OnBuild":["RUN x"]`, `"User":"u"`, `"os":"linux"`} {
		if err != nil || encodeErr != nil || !strings.Contains(string(raw), part) {
			t.Errorf("%s, %v, %v, want %s", raw, err, encodeErr, part)
		}
	}
}

// A container's settings take the place of the image's; labels, volumes and ports
// are added.
func TestSettingsOfContainer(t *testing.T) {
	c := runConfig{Healthcheck: json.RawMessage(`{}`)}
	c.Entrypoint, c.Cmd, c.Labels, c.StopSignal = []string{"/e"}, []string{"c"}, map[string]string{"a": "b"}, "SIGINT"
	c.of(CommitOptions{Settings: storage.Settings{User: "5", Env: []string{"A=b"}, Cmd: []string{"d"}, WorkingDir: "/w", Labels: []string{"l=v=w"}, Volumes: []string{"/v"}}, Exposed: []string{"80/tcp"}})
	want := runConfig{Healthcheck: json.RawMessage(`{}`), ImageConfig: imagespec.ImageConfig{User: "5", Env: []string{"A=b"}, Cmd: []string{"d"}, WorkingDir: "/w", StopSignal: "SIGINT",
		Labels: map[string]string{"a": "b", "l": "v=w"}, Volumes: map[string]struct{}{"/v": {}}, ExposedPorts: map[string]struct{}{"80/tcp": {}}}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v\nwant %+v", c, want)
	}
	if c.of(CommitOptions{Signal: "9", Health: json.RawMessage(`{"Test":["NONE"]}`)}); c.StopSignal != "9" || string(c.Healthcheck) != `{"Test":["NONE"]}` {
		t.Errorf("%+v", c)
	}
}
