// The Micro toolkit v1.18.0. Its published program knows no consul any more: the plugin is linked in, as its makers
// told people to do.
package main

import (
	"github.com/micro/micro/cmd"

	_ "github.com/micro/go-plugins/registry/consul"
)

func main() {
	cmd.Init()
}
