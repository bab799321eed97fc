// Package units writes and reads the unit files of systemd (systemd.syntax(7),
// systemd.service(5)): those that start a container or a pod, laid out as
// podman-generate-systemd(1) shows them, and those that the files of Quadlet
// ask for (podman-systemd.unit(5)). It deals with text alone. Which containers
// there are, where files lie and who reads them is the business of package cli.
package units
