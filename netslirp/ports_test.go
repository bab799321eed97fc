package netslirp

import (
	"fmt"
	"strings"
	"testing"
)

func TestParsePublish(t *testing.T) {
	for text, want := range map[string]string{
		"80":                                ":0>80/tcp",
		"8080:80":                           ":8080>80/tcp",
		":80":                               ":0>80/tcp",
		"127.0.0.1:8080:80":                 "127.0.0.1:8080>80/tcp",
		"127.0.0.1::80/udp":                 "127.0.0.1:0>80/udp",
		"[::1]:8080:80/UDP":                 "::1:8080>80/udp",
		"[::1]::80":                         "::1:0>80/tcp",
		"[0:0::1]:8080:80":                  "::1:8080>80/tcp",
		"8080-8081:80-81":                   ":8080>80/tcp :8081>81/tcp",
		"127.0.0.1:8080-8081:80-81/udp":     "127.0.0.1:8080>80/udp 127.0.0.1:8081>81/udp",
		"80-82":                             ":0>80/tcp :0>81/tcp :0>82/tcp",
		"8000-8010:80":                      ":8000-8010>80/tcp",
		"8080:80,8081:81":                   ":8080>80/tcp :8081>81/tcp",
		"8080:80 8080:80":                   ":8080>80/tcp",
		"8080:80 8080:80/udp":               ":8080>80/tcp :8080>80/udp",
		"8080:80 127.0.0.1:8080:81":         ":8080>80/tcp 127.0.0.1:8080>81/tcp",
		"80 80":                             ":0>80/tcp :0>80/tcp",
		"0.0.0.0:8080:80":                   "0.0.0.0:8080>80/tcp",
		"8000-8010:80/tcp 8000-8010:81/tcp": ":8000-8010>80/tcp :8000-8010>81/tcp",
	} {
		list, err := ParsePublish(strings.Fields(text))
		var got []string
		for _, p := range list {
			last := ""
			if p.HostLast > 0 {
				last = fmt.Sprintf("-%d", p.HostLast)
			}
			got = append(got, fmt.Sprintf("%s:%d%s>%d/%s", p.Host, p.HostPort, last, p.Port, p.Protocol))
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %s, %v, want %s", text, strings.Join(got, " "), err, want)
		}
	}
	for text, want := range map[string]string{
		"": "containerPort", "x": "containerPort", "0": "between 1 and 65535", "65536": "between 1 and 65535", "8080:": "containerPort", "x:80": "hostPort", "70000:80": "between 1 and 65535",
		"80/sctp": "sctp is not supported", "80/icmp": "invalid proto", "80/": "invalid proto", "localhost:80:80": "IP address", "::1:80:80": "invalid port format",
		"[::1:80:80": "]:", "1.2.3.4.5:80:80": "IP address", "90-80:90-80": "below", "8000-8001:80-82": "different lengths: 2 vs 3", "8000:80-81": "different lengths", "-1:80": "hostPort",
		"8080:80 8080:81": "conflicting port mappings for host port 8080 (protocol tcp)", "127.0.0.1:80:80:80": "invalid port format", "+80": "containerPort",
	} {
		texts := strings.Fields(text)
		if text == "" {
			texts = []string{""}
		}
		if list, err := ParsePublish(texts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %s", text, list, err, want)
		}
	}
}

func TestParseExpose(t *testing.T) {
	for text, want := range map[string]string{"80": "[80/tcp]", "80/udp": "[80/udp]", "80-82": "[80/tcp 81/tcp 82/tcp]", "x": "", "80/sctp": "", "0": "", "80:80": ""} {
		list, err := ParseExpose(text)
		if got := fmt.Sprint(list); (err != nil) != (want == "") || err == nil && got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}
