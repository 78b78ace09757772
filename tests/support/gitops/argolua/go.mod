// gopher-lua and its JSON encoder in the versions of Argo CD 3.5.
module mailegress.io/tests/gitops/argolua

go 1.26.0

require (
	github.com/yuin/gopher-lua v1.1.2
	layeh.com/gopher-json v0.0.0-20190114024228-97fed8db8427
)
