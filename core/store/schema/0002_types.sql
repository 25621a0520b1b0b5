-- The seed's enums; values in their order, which is also their sort order.
SET LOCAL search_path = public, pg_temp;

CREATE TYPE compliance_status AS ENUM ('compliant', 'non_compliant', 'partially_compliant', 'not_applicable', 'pending_assessment');
CREATE TYPE data_classification_level AS ENUM ('public', 'internal', 'confidential', 'restricted');
CREATE TYPE deployment_status AS ENUM ('pending', 'in_progress', 'completed', 'failed', 'rolled_back');
CREATE TYPE health_status AS ENUM ('healthy', 'degraded', 'unhealthy', 'unknown');
CREATE TYPE lifecycle_stage AS ENUM ('experimental', 'development', 'staging', 'production', 'deprecated');
CREATE TYPE plugin_status AS ENUM ('available', 'installed', 'installing', 'updating', 'disabled', 'failed', 'uninstalling');
CREATE TYPE privacy_request_type AS ENUM ('access', 'deletion', 'portability', 'rectification', 'restriction');
CREATE TYPE relationship_type AS ENUM ('depends_on', 'consumed_by', 'provides_api', 'consumes_api', 'deployed_with', 'owned_by', 'part_of');
CREATE TYPE request_status AS ENUM ('pending', 'in_progress', 'completed', 'rejected');
CREATE TYPE service_type AS ENUM ('service', 'website', 'library', 'application', 'tool', 'infrastructure');
CREATE TYPE team_role AS ENUM ('OWNER', 'MAINTAINER', 'MEMBER');
CREATE TYPE user_role AS ENUM ('ADMIN', 'PLATFORM_ENGINEER', 'DEVELOPER', 'VIEWER');
