package image

import (
	"reflect"
	"strings"
	"testing"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestApplyChange(t *testing.T) {
	c := imagespec.ImageConfig{Env: []string{"A=1", "B=2"}}
	for _, line := range []string{`CMD ["a", "b c"]`, "entrypoint run it", "ENV A=3", `env C "x y"`, "LABEL l=v=w", "LABEL m=", "USER u:g", "WORKDIR /w", "STOPSIGNAL 9", "EXPOSE 80 53/udp", `VOLUME ["/v"]`, "VOLUME /x /y"} {
		if err := applyChange(&c, line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	want := imagespec.ImageConfig{Env: []string{"A=3", "B=2", "C=x y"}, Cmd: []string{"a", "b c"}, Entrypoint: []string{"/bin/sh", "-c", "run it"}, User: "u:g", WorkingDir: "/w",
		StopSignal: "9", Labels: map[string]string{"l": "v=w", "m": ""}, ExposedPorts: map[string]struct{}{"80/tcp": {}, "53/udp": {}}, Volumes: map[string]struct{}{"/v": {}, "/x": {}, "/y": {}}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v\nwant %+v", c, want)
	}
	if err := applyChange(&c, "CMD=one"); err != nil || !reflect.DeepEqual(c.Cmd, []string{"/bin/sh", "-c", "one"}) {
		t.Errorf("CMD=one: %v, %q", err, c.Cmd)
	}
	for _, line := range []string{"", "FROM x", "ENV", "ENV =x", "RUN true"} {
		if err := applyChange(&c, line); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
}

// What docker knows and the specification does not stays.
func TestEncodeConfiguration(t *testing.T) {
	raw, err := encodeConfiguration(imagespec.Image{}, []byte(`{"config":{"Healthcheck":{"Test":["CMD","x"]},"Other":1}}`))
	if err != nil || !strings.Contains(string(raw), `"Healthcheck":{"Test":["CMD","x"]}`) {
		t.Errorf("%s, %v", raw, err)
	}
}
