// Command node is kubelet and kube-proxy in one binary, for the end-to-end
// tests: what a machine runs beside a container runtime to be a node.
//
// The component is named by the first argument.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// A component's command is built only once it is chosen: building some of
// them installs signal handlers, the kubelet's among them, which is why it
// gets a context without any.
var components = map[string]func() *cobra.Command{
	"kubelet":    func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
	"kube-proxy": proxy.NewProxyCommand,
}

func main() {
	name := ""
	if len(os.Args) > 1 {
		name = os.Args[1]
		os.Args = os.Args[1:]
	}
	build, ok := components[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "unknown component %q: kubelet or kube-proxy\n", name)
		os.Exit(2)
	}
	os.Exit(cli.Run(build()))
}
