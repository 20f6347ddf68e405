package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/sailpoint-go/sailpoint"
)

func (a *app) bearerCommand() *cobra.Command {
	var show bool
	cmd := &cobra.Command{
		Use: "bearer", Short: "Print a bearer for other programs", Args: cobra.NoArgs,
		Example: `  sailpat bearer | sed 's/^/Authorization: Bearer /' | curl -H @- "$SAIL_BASE_URL/v2024/tenant"`,
		Long: `Print a bearer (an OAuth2 access token) for other programs, such as curl. It
grants the rights of the token until it expires. It is not printed to a
terminal, where others may read it, unless --show is given.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.outTerminal && !show {
				return usageError("the bearer is a secret: send the output to a program, or add --show to print it to this terminal")
			}
			s, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			token, err := s.client.AccessToken(cmd.Context(), sailpoint.Secret{})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, token.Bearer.Reveal())
			return err
		},
	}
	cmd.Flags().BoolVar(&show, "show", false, "print the bearer even to a terminal")
	return cmd
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this program", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(a.out, "sailpat %s (%s, %s/%s)\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
