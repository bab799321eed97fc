package cli

import (
	"errors"

	"containers/rl/container"
)

// containerSizes are those of what containers wrote.
func containerSizes(host container.Host) (map[string]int64, error) {
	list, err := container.List(host.Dirs)
	if err != nil {
		return nil, err
	}
	measured, err := measure(host, list)
	sizes := map[string]int64{}
	for id, s := range measured {
		sizes[id] = s.RW
	}
	return sizes, err
}

func pruneAllVolumes(Streams, container.Host, []string) (int64, error) {
	return 0, errors.New("system prune --volumes: there are no volumes by name yet")
}
