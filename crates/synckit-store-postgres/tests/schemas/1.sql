SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA synckit;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE synckit.aggregates (
    tenant integer NOT NULL,
    aggregate_id text NOT NULL COLLATE pg_catalog."C",
    heads bytea NOT NULL,
    conflict text COLLATE pg_catalog."C"
)
WITH (fillfactor='70');
CREATE TABLE synckit.checkpoints (
    tenant integer NOT NULL,
    log bytea NOT NULL,
    address bytea NOT NULL,
    pull_position bigint NOT NULL,
    pull_hash bytea NOT NULL,
    push bigint NOT NULL,
    seen_position bigint NOT NULL,
    seen_hash bytea NOT NULL,
    shown_position bigint NOT NULL,
    shown_hash bytea NOT NULL,
    echo_floor bigint NOT NULL,
    filter bytea NOT NULL,
    synced_at bigint NOT NULL
);
CREATE TABLE synckit.decisions (
    tenant integer NOT NULL,
    vertex text NOT NULL COLLATE pg_catalog."C",
    event text NOT NULL COLLATE pg_catalog."C",
    aggregate_id text NOT NULL COLLATE pg_catalog."C",
    conflict text COLLATE pg_catalog."C",
    "timestamp" bigint NOT NULL
);
CREATE TABLE synckit.entries (
    tenant integer NOT NULL,
    stub boolean NOT NULL,
    superseded boolean NOT NULL,
    "position" bigint NOT NULL,
    counter bigint NOT NULL,
    "timestamp" bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    event_type text NOT NULL COLLATE pg_catalog."C",
    aggregate_id text NOT NULL COLLATE pg_catalog."C",
    codec text COLLATE pg_catalog."C",
    data bytea NOT NULL,
    metadata text COLLATE pg_catalog."C",
    origin bytea NOT NULL,
    parents bytea NOT NULL,
    content bytea NOT NULL,
    hash bytea NOT NULL,
    received_from bytea
);
CREATE TABLE synckit.known_stamps (
    tenant integer NOT NULL,
    origin bytea NOT NULL,
    counter bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    share bytea NOT NULL
);
CREATE TABLE synckit.origins (
    tenant integer NOT NULL,
    origin bytea NOT NULL,
    counter bigint NOT NULL,
    held bigint NOT NULL,
    ids bytea NOT NULL
)
WITH (fillfactor='50');
CREATE TABLE synckit.other_claims (
    tenant integer NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    claim bytea NOT NULL,
    aggregate_id text NOT NULL COLLATE pg_catalog."C",
    origin bytea NOT NULL,
    counter bigint NOT NULL,
    "timestamp" bigint NOT NULL,
    parents bytea NOT NULL,
    content bytea NOT NULL
);
CREATE TABLE synckit.quarantine (
    tenant integer NOT NULL,
    side text NOT NULL COLLATE pg_catalog."C",
    peer bytea NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    origin bytea NOT NULL,
    counter bigint NOT NULL,
    code text NOT NULL COLLATE pg_catalog."C",
    detail bytea NOT NULL,
    "position" bigint NOT NULL,
    held bytea
);
CREATE TABLE synckit.reviews (
    tenant integer NOT NULL,
    event text NOT NULL COLLATE pg_catalog."C",
    conflict text NOT NULL COLLATE pg_catalog."C",
    aggregate_id text NOT NULL COLLATE pg_catalog."C",
    heads bytea NOT NULL,
    reason bytea NOT NULL
);
CREATE TABLE synckit.schema_version (
    one boolean NOT NULL,
    version integer NOT NULL,
    CONSTRAINT schema_version_one_check CHECK (one)
);
CREATE TABLE synckit.tenants (
    tenant integer NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    log bytea NOT NULL,
    node bytea NOT NULL,
    former bytea NOT NULL,
    label text NOT NULL,
    mode text NOT NULL,
    counter bigint NOT NULL,
    clock bigint NOT NULL,
    "position" bigint NOT NULL,
    hash bytea NOT NULL,
    home text,
    standing text NOT NULL
)
WITH (fillfactor='20');
ALTER TABLE synckit.tenants ALTER COLUMN tenant ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME synckit.tenants_tenant_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE synckit.withdrawn (
    tenant integer NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    claim bytea NOT NULL,
    aggregate_id text NOT NULL COLLATE pg_catalog."C",
    origin bytea NOT NULL,
    counter bigint NOT NULL,
    "timestamp" bigint NOT NULL,
    parents bytea NOT NULL,
    content bytea NOT NULL
);
INSERT INTO synckit.aggregates VALUES (1, 'coffee', '\x000000036f64640006611a29c2113400010006611a29c2113482fa9aecfaeb438aaef9aca769848e5d0000000000000015000000000000000000000000', NULL);
INSERT INTO synckit.aggregates VALUES (1, 'open', '\x000000066f70656e2d6100060a24180efdca000100060a24180efdca00000000000000000000000000000002000000000005acff000000000000000000000000000000066f70656e2d6200060a24180efdd4000100060a24180efdd400000000000000000000000000000003000000000005acff000000000000000000000000', 'c-d8bd9564b0309cc0');
INSERT INTO synckit.aggregates VALUES (1, 'reviewed', '\x0000000a72657669657765642d6100060a24180efdca000100060a24180efdca000000000000000000000000000000020000000000097fce0000000000000000000000000000000a72657669657765642d6200060a24180efdd4000100060a24180efdd4000000000000000000000000000000030000000000097fce000000000000000000000000', 'c-3a93af5bffa871df');
INSERT INTO synckit.aggregates VALUES (1, 'decided', '\x0000003273796e636b69742e642e313466373031663536316630343233623262613535613133663834343363633165393061363764640006611a29c51975010100060a24180efdd40000000000000000000000000000000300000000000ddf0d00000009646563696465642d620000000000000000', NULL);
INSERT INTO synckit.aggregates VALUES (1, 'tea', '\x000000066f776e2d32300006611a29c134e000010006611a29c134e082fa9aecfaeb438aaef9aca769848e5d0000000000000014000000000000000000000000000000047374756200060a24180efef6000100060a24180efef600000000000000000000000000000005000000000000000a00000000000000000000000000000005747769636500060a24180efe24000100060a24180efe24000000000000000000000000000000060000000000000004000000000000000000000000', 'c-b859b4f7a2929354');
INSERT INTO synckit.checkpoints VALUES (1, '\x00000000000000000000000000009ee6', '\x6d656d3a70656572', 0, '\x0000000000000000000000000000000000000000000000000000000000000000', 7, 0, '\x0000000000000000000000000000000000000000000000000000000000000000', 0, '\x0000000000000000000000000000000000000000000000000000000000000000', 0, '\x44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', 0);
INSERT INTO synckit.decisions VALUES (1, 'synckit.d.14f701f561f0423b2ba55a13f8443cc1e90a67dd', 'synckit.e.f3ca31b951df4ce8b07101ac15617b9f', 'decided', 'c-955e29cd01a43de1', 1795614858090869);
INSERT INTO synckit.entries VALUES (1, false, false, 1, 1, 1795614857835725, 'own-1', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\x257e766e07a84b72f73e36fbef4941dd1718af4651ccb9d24d83a448f21c7d95', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 2, 2, 1795614857835726, 'own-2', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000056f776e2d31', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\xbb928c3a02ddc270bc4103d4740e05e65dab2a44dbd2e0c727e4cc3e9496d2b8', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 3, 3, 1795614857835727, 'own-3', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000056f776e2d32', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\x43fe79d17c2955bdb7ecf6d175f1d46c75fc9fef09426e963b21e5cd026e7114', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 4, 4, 1795614857835728, 'own-4', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000056f776e2d33', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\x273d199923ae123c4999a483f45975e3e0b996bb1e7d399cd49a4d02db286eed', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 5, 5, 1795614857835729, 'own-5', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000056f776e2d34', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\x9c6c58d1d02502f17b744664680fb428a9cb7eb8b209556c0cfb70a83097a0aa', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 6, 6, 1795614857835730, 'own-6', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000056f776e2d35', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\x8d314f2c6137cc4a692d31bccf5ed065c5f0ff775e6073e57386e812b7abec64', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 7, 7, 1795614857835731, 'own-7', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000056f776e2d36', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\xf5c00065ea643f82e09ac165bada8e231440e8668b28d490979c03d3d338c279', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 8, 8, 1795614857835732, 'own-8', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000056f776e2d37', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\xb34ddb4106b9192c6ec5a301c4ecdaee9ea0956194e4b4bee4572bd4b71dc7bc', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 9, 9, 1795614857835733, 'own-9', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000056f776e2d38', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\xd133430aaeb84c17822008d2a5ba00b4117e936dbc38cd84ec60ed9407d9e8c6', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 10, 10, 1795614857835734, 'own-10', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000056f776e2d39', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\x326ffde7d87abc38d2b47f253e321ee63727f05807e8e9ce6563f4cfd2fad54b', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 11, 11, 1795614857835735, 'own-11', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000066f776e2d3130', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\xe5d3ddd574f6061855b80e31607cd90233464f568835a3df131eaff01009cc50', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 12, 12, 1795614857835736, 'own-12', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000066f776e2d3131', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\x78a8cb870b26b40e86069fe575757400b1de98ee16b9400a23c7f9af67fe1fad', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 13, 13, 1795614857835737, 'own-13', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000066f776e2d3132', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\xa315ea63b77e4d4c4b283d2c195936d34e5f650b487430939b2ab20165a2f0b1', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 14, 14, 1795614857835738, 'own-14', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000066f776e2d3133', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\xc9cdde2b0c2e6eb601d3d093b93349789ec79b7c9b8a4632b9c31e7fc8568225', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 15, 15, 1795614857835739, 'own-15', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000066f776e2d3134', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\xa9aa800df3e35ecebd438be1d622d7025a87a3ffa1b5983b1524002876079e61', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 16, 16, 1795614857835740, 'own-16', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000066f776e2d3135', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\xfc727d2661a5d83e32a823cabc2b44a90a7e0980c8c68a32e6efe3a665d2c620', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 17, 17, 1795614857835741, 'own-17', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000066f776e2d3136', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\x6c3817abefad1e8da00dbc80da2e29227406b83df77f1df2f3ad3c8f0baf1e89', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 18, 18, 1795614857835742, 'own-18', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000066f776e2d3137', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\x8eca7f851de45c6a345cbe020eb1d0542c3e761f26c5d881dc9b79ecd6007939', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 19, 19, 1795614857835743, 'own-19', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000066f776e2d3138', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\xd118fe25af33c56ec08f2f3f9babd1f6dae508a90f1a274976cfd545f8416741', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 20, 20, 1795614857835744, 'own-20', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000066f776e2d3139', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\x1ce4df1c25dc8c0d0bf97a17fdc98a2c4cce6426cddd203b7cc07718d76183a9', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 21, 21, 1795614857892148, 'odd', 'thing.happened', 'coffee', 'bin', '\x00ff', '{"k":"v"}', '\x82fa9aecfaeb438aaef9aca769848e5d', '\x', '\x3f1145ae31e0c8b2d9eec250553cf5d08218ef8b8bb8aba93b06e82115a910df', '\x171bd3aa2ab1c1f53ae1ec5a6dbbf8e666113530b87133a6536f13ff51655c2d', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 22, 371967, 1699999999000010, 'open-a', 'thing.happened', 'open', NULL, '\x226461746122', NULL, '\x00000000000000000000000000000002', '\x', '\xcf7af208d11dbf5be9fd6b6793cf757901108e02dc5b7a9534594e75ab04c004', '\x94528d9d3fcec9dad78ee140cc6c926086d7f956a34578b2cc5923baa63865bf', '\x00000000000000000000000000009ee6');
INSERT INTO synckit.entries VALUES (1, false, false, 23, 371967, 1699999999000020, 'open-b', 'thing.happened', 'open', NULL, '\x226461746122', NULL, '\x00000000000000000000000000000003', '\x', '\xcf7af208d11dbf5be9fd6b6793cf757901108e02dc5b7a9534594e75ab04c004', '\x9eae378c6596737d70314578ac191a24169d1c91b3f72fa8db867362c76f07ec', '\x00000000000000000000000000009ee6');
INSERT INTO synckit.entries VALUES (1, false, false, 24, 909069, 1699999999000010, 'decided-a', 'thing.happened', 'decided', NULL, '\x226461746122', NULL, '\x00000000000000000000000000000002', '\x', '\x3a35d4168a8ab92f5c5bf0448246544b4b387d5a983b1074e6ff4f6655602c82', '\x6a04fd68ec2165b8ff0c18a0eb36846df3b3f27739ce656d069aed626ca0bd89', '\x00000000000000000000000000009ee6');
INSERT INTO synckit.entries VALUES (1, false, false, 25, 909069, 1699999999000020, 'decided-b', 'thing.happened', 'decided', NULL, '\x226461746122', NULL, '\x00000000000000000000000000000003', '\x', '\x3a35d4168a8ab92f5c5bf0448246544b4b387d5a983b1074e6ff4f6655602c82', '\x62b7dbc9ca5be3dcea9cac9413db321c7939462105f6903113e3f338bbb11fb3', '\x00000000000000000000000000009ee6');
INSERT INTO synckit.entries VALUES (1, false, false, 26, 622542, 1699999999000010, 'reviewed-a', 'thing.happened', 'reviewed', NULL, '\x226461746122', NULL, '\x00000000000000000000000000000002', '\x', '\x8795b2461d37a72e85ec7748a814b198885022f33d7de0737d97da34454dc92e', '\x71d2a4ce11469fd567944e74bc570ff60e24f934b84c0f3101fd2ba9058e78b4', '\x00000000000000000000000000009ee6');
INSERT INTO synckit.entries VALUES (1, false, false, 27, 622542, 1699999999000020, 'reviewed-b', 'thing.happened', 'reviewed', NULL, '\x226461746122', NULL, '\x00000000000000000000000000000003', '\x', '\x8795b2461d37a72e85ec7748a814b198885022f33d7de0737d97da34454dc92e', '\xe690a24712092cdf11c3ed11eeb0cc768c77131399f0313bc34929962bce5304', '\x00000000000000000000000000009ee6');
INSERT INTO synckit.entries VALUES (1, false, false, 28, 22, 1795614858090869, 'synckit.e.f3ca31b951df4ce8b07101ac15617b9f', 'synckit.resolution', 'decided', NULL, '\x7b22636f6e666c696374223a22632d39353565323963643031613433646531222c226465636973696f6e223a2273796e636b69742e642e31346637303166353631663034323362326261353561313366383434336363316539306136376464222c2261646f707473223a5b22646563696465642d62225d2c226f7574636f6d65223a2261646f7074222c227265736f6c766572223a22636f6e666f726d616e6365222c22646563696465645f6174223a313739353631343835383039303836397d', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x00000009646563696465642d6100000009646563696465642d62', '\x6192c35141649307a4a39cf6b0d9872a6262e0bd0ab778b78e0df9f4e4dd4abc', '\x964e2f43edfbe6a3cf8340f3c63a84883545108ea8c85c6e36d6e78831f3e6ba', NULL);
INSERT INTO synckit.entries VALUES (1, false, false, 29, 23, 1795614858145236, 'synckit.c.04b9458bdc40172b388bd6be9d20b9ef0b70848e', 'synckit.conflict', 'reviewed', NULL, '\x7b22636f6e666c696374223a22632d33613933616635626666613837316466222c226865616473223a5b2272657669657765642d61222c2272657669657765642d62225d2c22726561736f6e223a226c6f6f6b206174206974227d', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x', '\xef196c1f7081f6672aa9afd3284abeaa9bec0f8d7ecd1aee7e9184a5b5aaec3e', '\x4d4dc4c1c331e2a250874e54b2a18a4959579eff5d272b50fc788e2451ec5863', NULL);
INSERT INTO synckit.entries VALUES (1, false, true, 30, 9, 1699999999000300, 'twice', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x00000000000000000000000000000005', '\x', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\x68455e72f5fa48dcdc3bdcbed846f210ca473282ecb5c6ff875b01ab5ae941f2', '\x00000000000000000000000000009ee6');
INSERT INTO synckit.entries VALUES (1, false, false, 31, 4, 1699999999000100, 'twice', 'thing.happened', 'tea', NULL, '\x226461746122', NULL, '\x00000000000000000000000000000006', '\x', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\xd316a1b25f3dc1b072b400b682c39e90a8832499078a2200a6ec1a0908812b0f', '\x00000000000000000000000000009ee6');
INSERT INTO synckit.entries VALUES (1, true, false, 32, 10, 1699999999000310, 'stub', 'thing.happened', 'tea', NULL, '\x', NULL, '\x00000000000000000000000000000005', '\x', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081', '\x4bdeaa65dce01e8f1f6f6aceaea51f983c3cc185acb0f6bee9dad012302d48ae', '\x00000000000000000000000000009ee6');
INSERT INTO synckit.entries VALUES (1, false, false, 33, 24, 1795614858352610, 'synckit.w.0c7f6b1f8124a987216305561b058a03437dbe39', 'synckit.withdrawal', 'tea', NULL, '\x7b226964223a226f776e2d3230222c2274797065223a227468696e672e68617070656e6564222c226f726967696e223a223832666139616563666165623433386161656639616361373639383438653564222c22636f756e746572223a32302c2274696d657374616d70223a313739353631343835373833353734342c22706172656e7473223a5b226f776e2d3139225d2c22636f6e74656e74223a2263363538346530346635353365383830636132653337633031633636313439623933323164353635386239356264386336303639613537323535616266303831227d', NULL, '\x82fa9aecfaeb438aaef9aca769848e5d', '\x000000066f776e2d3139', '\x67c8195bcf04bfd8484957fc05f257ac8d482fe78878555621037a937d62924a', '\x5ebae032298557a61098ee544fcc06337710f954b814c261a8d5bbf9761b6a6d', NULL);
INSERT INTO synckit.known_stamps VALUES (1, '\x00000000000000000000000000000005', 9, 'twice', '\x079542b8af4d447e420ef989b1ffb731');
INSERT INTO synckit.known_stamps VALUES (1, '\x00000000000000000000000000000008', 1, 'twice', '\xef11cef08a41db3c8adf52efd1453afc');
INSERT INTO synckit.known_stamps VALUES (1, '\x00000000000000000000000000000008', 2, 'twice', '\x95601fbc81c30df695e84c033f346be8');
INSERT INTO synckit.known_stamps VALUES (1, '\x82fa9aecfaeb438aaef9aca769848e5d', 20, 'own-20', '\x0d1ed6c1378290046822f4bcfdf7b790');
INSERT INTO synckit.origins VALUES (1, '\x00000000000000000000000000000002', 909069, 3, '\x9023de5508a3a16b9240529b55d5dfcf');
INSERT INTO synckit.origins VALUES (1, '\x00000000000000000000000000000003', 909069, 3, '\xf50909f133fe3900bfd02bc59608dd62');
INSERT INTO synckit.origins VALUES (1, '\x00000000000000000000000000000006', 4, 1, '\x0f29212eea925dd8bbb2e4b813197b54');
INSERT INTO synckit.origins VALUES (1, '\x00000000000000000000000000000008', 2, 2, '\x7a71d14c0b82d6ca1f371eecee715114');
INSERT INTO synckit.origins VALUES (1, '\x00000000000000000000000000000005', 10, 2, '\xbb4780ea030ff65e21e1a004d297c689');
INSERT INTO synckit.origins VALUES (1, '\x82fa9aecfaeb438aaef9aca769848e5d', 24, 24, '\x2321b64e05e68d6dd5aeefb22000f6e1');
INSERT INTO synckit.other_claims VALUES (1, 'twice', '\xa216c656de083f89a77901e13a095e0bdaec3eea441aee5b8537bdd1b1b8506b', 'tea', '\x00000000000000000000000000000005', 9, 1699999999000300, '\x', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081');
INSERT INTO synckit.other_claims VALUES (1, 'twice', '\x39b02beae1af0ade518e35aa29a8fa1dc9a79b4bd35603b0baea6f88a4da0300', 'tea', '\x00000000000000000000000000000008', 1, 1699999999000600, '\x', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081');
INSERT INTO synckit.other_claims VALUES (1, 'twice', '\xb70524c0cc104be6cd1b69ed7d0025056d12253d339d2894a677137339cf859c', 'tea', '\x00000000000000000000000000000008', 2, 1699999999000700, '\x', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081');
INSERT INTO synckit.quarantine VALUES (1, 'held', '\x00000000000000000000000000009ee6', 'twice', '\x00000000000000000000000000000007', 1, 'content_mismatch', '\x74776963653a2074686520696420616c7265616479206e616d657320616e6f74686572206576656e742c20617420706f736974696f6e203331', 0, '\x0000000574776963650000000e7468696e672e68617070656e656400000003746561000000046a736f6e00000007226f7468657222000000027b7d00000000000000000000000000000000000000000000000000000007000000000000000100060a24180eff5000000000');
INSERT INTO synckit.quarantine VALUES (1, 'held', '\x00000000000000000000000000009ee6', 'orphan', '\x00000000000000000000000000000007', 2, 'waiting_for_parent', '\x6f727068616e3a20776169747320666f72206e6f77686572652c207768696368206973206e6f742068657265', 0, '\x000000066f727068616e0000000e7468696e672e68617070656e656400000003746561000000046a736f6e00000006226461746122000000027b7d00000000000000000000000000000000000000000000000000000007000000000000000200060a24180effb40000000b000000076e6f7768657265');
INSERT INTO synckit.quarantine VALUES (1, 'refused', '\x00000000000000000000000000009ee6', 'own-5', '\x82fa9aecfaeb438aaef9aca769848e5d', 5, 'quota', '\x6e6f74206e6f77', 5, NULL);
INSERT INTO synckit.reviews VALUES (1, 'synckit.c.04b9458bdc40172b388bd6be9d20b9ef0b70848e', 'c-3a93af5bffa871df', 'reviewed', '\x0000000a72657669657765642d610000000a72657669657765642d62', '\x6c6f6f6b206174206974');
INSERT INTO synckit.schema_version VALUES (true, 1);
INSERT INTO synckit.tenants OVERRIDING SYSTEM VALUE VALUES (1, 'one', '\x5d486e30878145028166bbcdd24b9c0e', '\x82fa9aecfaeb438aaef9aca769848e5d', '\x', '', 'integer', 24, 1795614858352610, 33, '\x5ebae032298557a61098ee544fcc06337710f954b814c261a8d5bbf9761b6a6d', '7712104459768371647/20907/20916', '');
INSERT INTO synckit.withdrawn VALUES (1, 'own-20', '\x5881d1d3f371c3d203ff184ab7446cbcd568d4cb79956256cda3f465a84e5c56', 'tea', '\x82fa9aecfaeb438aaef9aca769848e5d', 20, 1795614857835744, '\x000000066f776e2d3139', '\xc6584e04f553e880ca2e37c01c66149b9321d5658b95bd8c6069a57255abf081');
SELECT pg_catalog.setval('synckit.tenants_tenant_seq', 1, true);
ALTER TABLE ONLY synckit.aggregates
    ADD CONSTRAINT aggregates_pkey PRIMARY KEY (tenant, aggregate_id);
ALTER TABLE ONLY synckit.checkpoints
    ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (tenant, log);
ALTER TABLE ONLY synckit.decisions
    ADD CONSTRAINT decisions_pkey PRIMARY KEY (tenant, vertex);
ALTER TABLE ONLY synckit.entries
    ADD CONSTRAINT entries_pkey PRIMARY KEY (tenant, "position");
ALTER TABLE ONLY synckit.known_stamps
    ADD CONSTRAINT known_stamps_pkey PRIMARY KEY (tenant, origin, counter, id, share);
ALTER TABLE ONLY synckit.origins
    ADD CONSTRAINT origins_pkey PRIMARY KEY (tenant, origin);
ALTER TABLE ONLY synckit.other_claims
    ADD CONSTRAINT other_claims_pkey PRIMARY KEY (tenant, id, claim);
ALTER TABLE ONLY synckit.quarantine
    ADD CONSTRAINT quarantine_pkey PRIMARY KEY (tenant, side, peer, id, origin, counter);
ALTER TABLE ONLY synckit.reviews
    ADD CONSTRAINT reviews_pkey PRIMARY KEY (tenant, event);
ALTER TABLE ONLY synckit.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (one);
ALTER TABLE ONLY synckit.tenants
    ADD CONSTRAINT tenants_name_key UNIQUE (name);
ALTER TABLE ONLY synckit.tenants
    ADD CONSTRAINT tenants_pkey PRIMARY KEY (tenant);
ALTER TABLE ONLY synckit.withdrawn
    ADD CONSTRAINT withdrawn_pkey PRIMARY KEY (tenant, id, claim);
CREATE INDEX aggregates_in_conflict ON synckit.aggregates USING btree (tenant, aggregate_id) WHERE (conflict IS NOT NULL);
CREATE INDEX decisions_by_aggregate ON synckit.decisions USING btree (tenant, aggregate_id);
CREATE INDEX decisions_by_conflict ON synckit.decisions USING btree (tenant, conflict);
CREATE INDEX entries_by_aggregate ON synckit.entries USING btree (tenant, aggregate_id, "position");
CREATE UNIQUE INDEX entries_by_id ON synckit.entries USING btree (tenant, id) WHERE (NOT superseded);
CREATE INDEX entries_by_stamp ON synckit.entries USING btree (tenant, origin, counter);
CREATE INDEX entries_of_stubs ON synckit.entries USING btree (tenant, origin, counter, id) WHERE (stub AND (NOT superseded));
CREATE INDEX reviews_by_aggregate ON synckit.reviews USING btree (tenant, aggregate_id);
CREATE INDEX reviews_by_conflict ON synckit.reviews USING btree (tenant, conflict);
CREATE INDEX withdrawn_by_aggregate ON synckit.withdrawn USING btree (tenant, aggregate_id);
