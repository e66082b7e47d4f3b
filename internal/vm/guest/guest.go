// Package guest is /init of the machines of package vm: it mounts what
// programs expect, loads the modules, runs the commands and tells the machine
// outside over the console how they ended.
//
// A program that calls Main first can be its own /init.
package guest
