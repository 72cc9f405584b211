// Command controlplane is etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler and kubectl in one binary, for the sandbox of the tests. Its
// component certificates writes what they trust each other by.
//
// The component is named by the first argument, or by the name the binary is
// called by (a link named kubectl is kubectl).
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

// A component's command is built only once it is chosen: building some of
// them installs signal handlers.
var components = map[string]func() *cobra.Command{
	"certificates":            newCertificatesCommand,
	"etcd":                    newEtcdCommand,
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubectl":                 kubectl.NewDefaultKubectlCommand,
}

func main() {
	name := filepath.Base(os.Args[0])
	if _, ok := components[name]; !ok {
		if len(os.Args) > 1 {
			name = os.Args[1]
			os.Args = os.Args[1:]
		}
	}
	build, ok := components[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "unknown component %q: certificates, etcd, kube-apiserver, kube-controller-manager, kube-scheduler or kubectl\n", name)
		os.Exit(2)
	}
	os.Exit(cli.Run(build()))
}
