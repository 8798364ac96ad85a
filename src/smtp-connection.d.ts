// `smtp-connection` re-exports the class of nodemailer (package.json overrides which nodemailer) and has no types of its own
declare module 'smtp-connection' {
  export type * from 'nodemailer/lib/smtp-connection';
  export { default } from 'nodemailer/lib/smtp-connection';
}
