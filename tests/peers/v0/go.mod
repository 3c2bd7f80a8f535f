module peer

go 1.13

require (
	github.com/golang/protobuf v1.3.2
	github.com/hashicorp/consul v1.2.0
	github.com/micro/cli v0.2.0
	github.com/micro/go-log v0.1.0
	github.com/micro/go-micro v0.1.0
	github.com/micro/mdns v0.3.0
	github.com/micro/misc v0.1.0
	github.com/mitchellh/hashstructure v1.0.0
	github.com/pborman/uuid v1.2.0
	golang.org/x/net v0.0.0-20191109021931-daa7c04131f5
	// for consul's api package
	github.com/hashicorp/go-cleanhttp v0.5.1
	github.com/hashicorp/go-rootcerts v1.0.0
	github.com/hashicorp/serf v0.8.3
	github.com/miekg/dns v1.1.22
	github.com/mitchellh/mapstructure v1.1.2
	github.com/mitchellh/go-homedir v1.1.0
)
