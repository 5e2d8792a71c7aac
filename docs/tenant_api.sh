#!/bin/sh
# Replay the tenant API's documented examples with curl, in an order in which each one finds what it needs.
#
#   BASE=https://id.example.org CLIENT_ID=hr CLIENT_SECRET=... APPLICATION_ID=... sh docs/tenant_api.sh
#
# The client needs the rights user_all, org_all and app_all (docs/tenant_api.md). APPLICATION_ID is the id of an
# application of the tenant. Everything that is made is deleted again. Needs curl and python3; ends with an error
# at the first answer that has another status than the document says.

set -eu
: "${BASE:?}" "${CLIENT_ID:?}" "${CLIENT_SECRET:?}" "${APPLICATION_ID:?}"

API=$BASE/api/v2/tenant
APP=$API/applications/$APPLICATION_ID
ANSWER=$(mktemp)
trap 'rm -f "$ANSWER"' EXIT
TOKEN=
RUN=$(date +%s)

member() { # the member of the last answer
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$ANSWER" "$1"
}

call() { # operation, expected status, method, address, body
    status=$(curl -sS -o "$ANSWER" -w '%{http_code}' -X "$3" "$4" \
        -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json;charset=utf8' ${5:+--data "$5"})
    printf '%-36s %s\n' "$1" "$status"
    if [ "$status" != "$2" ]; then
        cat "$ANSWER" >&2
        exit 1
    fi
}

# 3.1.2 Access credential
status=$(curl -sS -o "$ANSWER" -w '%{http_code}' "$API/token" \
    --data-urlencode "client_id=$CLIENT_ID" --data-urlencode "client_secret=$CLIENT_SECRET" \
    --data-urlencode grant_type=client_credentials)
printf '%-36s %s\n' obtainAccessToken "$status"
[ "$status" = 200 ] || { cat "$ANSWER" >&2; exit 1; }
TOKEN=$(member access_token)

# 3.1.4 Organizations
call createOrganization 201 POST "$API/organizations" "{\"code\": \"10000-$RUN\", \"name\": \"HQ $RUN\"}"
ROOT=$(member org_id)
call createOrganization 201 POST "$API/organizations" \
    "{\"code\": \"1000001-$RUN\", \"name\": \"子部门\", \"parent_id\": \"$ROOT\", \"category\": \"department\"}"
ORG=$(member org_id)
call updateOrganization 200 PUT "$API/organizations/$ORG" \
    "{\"code\": \"TestOrg-$RUN\", \"name\": \"测试机构 $RUN\", \"parent_id\": \"\", \"category\": \"department\"}"
call getOrganization 200 GET "$API/organizations/$ORG"
call listOrganizations 200 GET "$API/organizations?org_id=&all_child=true&offset=0&limit=10"

# 3.1.3 Users
call createUser 201 POST "$API/users" "{
    \"user_name\": \"zhangsan$RUN\", \"password\": \"Quiet-Harbour-41\", \"org_code\": \"10000-$RUN\",
    \"name\": \"zhangsan\", \"mobile\": \"1$RUN\", \"email\": \"zhangsan$RUN@example.com\",
    \"employee_id\": \"$RUN\", \"pwd_must_modify\": false, \"first_name\": \"F\", \"middle_name\": \"M\",
    \"last_name\": \"L\", \"attr_gender\": \"male\", \"attr_birthday\": \"1990-02-01\",
    \"attr_nick_name\": \"zhangsan\", \"attr_identity_type\": \"id_card\", \"attr_identity_number\": \"$RUN\",
    \"attr_area\": \"CN\", \"attr_city\": \"xxx\", \"attr_manager_id\": \"123456789\",
    \"attr_user_type\": \"regular\", \"attr_hire_date\": \"2021-04-01\", \"attr_work_place\": \"xxx\",
    \"user_org_relation_list\": [
        {\"orgCode\": \"10000-$RUN\", \"relationType\": 1}, {\"orgCode\": \"TestOrg-$RUN\", \"relationType\": 0}
    ]
}"
USER_ID=$(member user_id)
call updateUser 200 PUT "$API/users/$USER_ID" '{"name": "zhangsan", "attr_city": "Shanghai"}'
call getUserById 200 GET "$API/users/$USER_ID"
call getUserByUsername 200 POST "$API/users/user-by-username" "{\"user_name\": \"zhangsan$RUN\"}"
call listUsers 200 GET "$API/users?org_id=&offset=0&limit=10"
call changeUserPassword 200 PUT "$API/users/$USER_ID/change-password" \
    '{"password": "Amber-Meadow-77", "pwd_must_modify": false}'
call changeUserPasswordWithVerification 200 PUT "$API/users/$USER_ID/change-password-verify" \
    '{"password": "Silent-Bridge-58", "old_password": "Amber-Meadow-77"}'
call disableUser 200 PUT "$API/users/$USER_ID/disable"
call enableUser 200 PUT "$API/users/$USER_ID/enable"

# 3.1.5 Application organizations
call createApplicationOrganization 201 POST "$APP/organizations" \
    "{\"org_code\": \"10000-$RUN\", \"name\": \"总部 $RUN\", \"parent_id\": \"\"}"
APP_ROOT=$(member org_id)
call createApplicationOrganization 201 POST "$APP/organizations" \
    "{\"org_code\": \"10001-$RUN\", \"name\": \"开发组\", \"parent_id\": \"$APP_ROOT\"}"
APP_ORG=$(member org_id)
call updateApplicationOrganization 200 PUT "$APP/organizations/$APP_ORG" \
    "{\"name\": \"开发组\", \"parent_id\": \"$APP_ROOT\"}"
call getApplicationOrganization 200 GET "$APP/organizations/$APP_ORG"
call listApplicationOrganizations 200 GET "$APP/organizations?offset=0&limit=10"

# 3.1.6 Application accounts
call authorizeApplicationAccount 200 POST "$API/users/$USER_ID/applications/$APPLICATION_ID/accounts" \
    "{\"account_name\": \"Test01-$RUN\"}"
ACCOUNT=$(member account_id)
call listUserAccounts 200 GET "$API/users/$USER_ID/accounts"
call deleteApplicationAccount 204 DELETE "$APP/accounts/$ACCOUNT"
call createApplicationAccount 201 POST "$APP/accounts/basic-account" "{
    \"account_name\": \"zhangsan$RUN\", \"user_id\": \"$USER_ID\", \"name\": \"zs\", \"org_code\": \"\",
    \"password\": \"\", \"disabled\": false, \"extension\": {}
}"
ACCOUNT=$(member account_id)
call updateApplicationAccount 200 PUT "$APP/accounts/$ACCOUNT" \
    "{\"account_name\": \"Test02-$RUN\", \"name\": \"Example\", \"org_code\": \"10000-$RUN\", \"disabled\": false}"
call getApplicationAccount 200 GET "$APP/accounts/$ACCOUNT"
call listApplicationAccounts 200 GET "$APP/accounts?account_type=BASIC_ACCOUNT&offset=0&limit=10"
call disableApplicationAccount 200 PUT "$APP/accounts/$ACCOUNT/disable"
call enableApplicationAccount 200 PUT "$APP/accounts/$ACCOUNT/enable"

# 3.1.7 Application roles
call createApplicationRole 200 POST "$APP/role" "{\"code\": \"admin1-$RUN\", \"name\": \"管理员1\"}"
ROLE=$(member role_id)
call updateApplicationRole 200 PUT "$APP/role/$ROLE" '{"name": "管理员2"}'
call getApplicationRole 200 GET "$APP/role/$ROLE"
call listApplicationRoles 200 GET "$APP/role-list?offset=0&limit=10"
call addApplicationRoleMembers 200 POST "$APP/role-member" \
    "{\"role_id\": \"$ROLE\", \"account_Ids\": [\"$ACCOUNT\"]}"
call listApplicationRoleMembers 200 GET "$APP/role-member-list/$ROLE" '{"offset": "0", "limit": "10"}'
call removeApplicationRoleMembers 200 DELETE "$APP/role-member" \
    "{\"role_id\": \"$ROLE\", \"account_Ids\": [\"$ACCOUNT\"]}"
call deleteApplicationRole 200 DELETE "$APP/role/$ROLE"

# What was made goes again.
call deleteApplicationAccount 204 DELETE "$APP/accounts/$ACCOUNT"
call deleteApplicationOrganization 204 DELETE "$APP/organizations/$APP_ORG"
call deleteApplicationOrganization 204 DELETE "$APP/organizations/$APP_ROOT"
call deleteUser 204 DELETE "$API/users/$USER_ID"
call deleteOrganization 204 DELETE "$API/organizations/$ORG"
call deleteOrganization 204 DELETE "$API/organizations/$ROOT"
echo "All answers are as documented."
