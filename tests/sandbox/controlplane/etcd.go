package main

import (
	"net/url"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
)

// newEtcdCommand serves one etcd member without fsync: the sandbox's data are
// thrown away, and a slow disk must not slow the tests.
func newEtcdCommand() *cobra.Command {
	var dir, listen string
	command := &cobra.Command{
		Use: "etcd",
		RunE: func(command *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(command.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return serveEtcd(ctx.Done(), dir, listen)
		},
	}
	command.Flags().StringVar(&dir, "data-dir", "etcd", "folder of the data")
	command.Flags().StringVar(&listen, "listen", "", "URL for clients, http://127.0.0.1:PORT")
	return command
}

func serveEtcd(done <-chan struct{}, dir, listen string) error {
	clients, err := url.Parse(listen)
	if err != nil {
		return err
	}
	peers, err := url.Parse("http://127.0.0.1:0")
	if err != nil {
		return err
	}
	config := embed.NewConfig()
	config.Dir = dir
	config.ListenClientUrls = []url.URL{*clients}
	config.AdvertiseClientUrls = []url.URL{*clients}
	config.ListenPeerUrls = []url.URL{*peers}
	config.UnsafeNoFsync = true
	config.LogLevel = "error"
	server, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	defer server.Close()
	select {
	case <-done:
		return nil
	case err := <-server.Err():
		return err
	}
}
