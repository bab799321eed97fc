// Package start is the command run, up to the point where the container's
// program is executed and has either ended or asked for the network: the part
// of rl that must be fast.
//
// Begun, a variable, begins the command while the program is still being
// initialised. Go initialises packages whose imports are ready in the order of
// their paths, and what registries, the store and the network stack bring in
// costs more than a whole start of a container. So this package imports none of
// them, directly or not, and its path, containers/rl/..., sorts before
// github.com. What it cannot do alone it leaves to package cli, which begins
// anew with all packages there (Cold), or goes on where Begun stopped.
//
// imports_test.go in the root holds what may be imported here.
package start
