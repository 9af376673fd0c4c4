import { define } from "../define";

export const resources = define(
  {
    "resources.allNamespaces": "All namespaces",
    "resources.delete.text": "What belongs to it goes too.",
    "resources.delete.title": "Delete {name}?",
    "resources.kind": "Kind",
    "resources.namespace": "Namespace",
    "resources.new": "New {kind}",
    "resources.noKind": "This server has no {kind}",
    "resources.none": "There are none",
    "resources.search": "Search by name",
    "resources.secret": "A secret's values are not shown: they never leave the server for a page.",
    "resources.title": "Resources",
    "resources.yaml": "The object as YAML",
  },
  {
    "resources.allNamespaces": "모든 네임스페이스",
    "resources.delete.text": "여기에 속한 것도 함께 삭제됩니다.",
    "resources.delete.title": "{name}을(를) 삭제할까요?",
    "resources.kind": "종류",
    "resources.namespace": "네임스페이스",
    "resources.new": "새 {kind}",
    "resources.noKind": "이 서버에는 {kind}이(가) 없습니다",
    "resources.none": "없습니다",
    "resources.search": "이름으로 검색",
    "resources.secret": "시크릿의 값은 표시되지 않으며 서버 밖으로 나가지 않습니다.",
    "resources.title": "리소스",
    "resources.yaml": "YAML로 본 객체",
  },
);
