// The Micro toolkit v2.9.3, with the consul plugin.
package main

import (
	"github.com/micro/micro/v2/cmd"

	_ "github.com/micro/go-plugins/registry/consul/v2"
)

func main() {
	cmd.Init()
}
