package objects

import "github.com/thinlink/thinlink/clients/lwm2m/model"

// Resources of the access object that the code uses.
const (
	AccessObject   = 0
	AccessInstance = 1
	AccessACL      = 2
	AccessOwner    = 3
)

// Access says which server may do what with an object instance (appendix E.3).
var Access = &model.Object{ID: 2, Name: "LwM2M Access Control", Multiple: true, Resources: []model.Resource{
	{ID: AccessObject, Name: "Object ID", Ops: model.R, Type: model.Integer, Mandatory: true},
	{ID: AccessInstance, Name: "Object Instance ID", Ops: model.R, Type: model.Integer, Mandatory: true},
	{ID: AccessACL, Name: "ACL", Ops: model.RW, Type: model.Integer, Multiple: true},
	{ID: AccessOwner, Name: "Access Control Owner", Ops: model.RW, Type: model.Integer, Mandatory: true},
}}
