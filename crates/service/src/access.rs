//! Address and credentials of a server, as the settings of whoever talks to it hold them.

use crate::{ConfigError, Env, Secret};

/// The settings that the environment may override, all under one prefix.
#[derive(Debug)]
pub struct Access<'a, U> {
    /// Address, `<PREFIX>_URL`; a text, or an optional one where the default is not written down.
    pub url: &'a mut U,
    /// User name of basic authentication, `<PREFIX>_USERNAME`.
    pub username: &'a mut Option<String>,
    /// Its password, `<PREFIX>_PASSWORD` or `<PREFIX>_PASSWORD_FILE`.
    pub password: &'a mut Secret,
    /// Token, where the server takes one, `<PREFIX>_TOKEN` or `<PREFIX>_TOKEN_FILE`.
    pub token: Option<&'a mut Secret>,
}

impl<U: From<String>> Access<'_, U> {
    /// Lets the environment override what the file says.
    ///
    /// # Errors
    /// When a secret is given twice, or its file cannot be read.
    pub fn overlay(self, env: &Env, prefix: &str) -> Result<(), ConfigError> {
        if let Some(url) = env.get(&format!("{prefix}_URL")) {
            *self.url = url.to_owned().into();
        }
        if let Some(username) = env.get(&format!("{prefix}_USERNAME")) {
            *self.username = Some(username.to_owned());
        }
        if let Some(password) = env.secret(&format!("{prefix}_PASSWORD"))? {
            *self.password = password;
        }
        if let Some(setting) = self.token
            && let Some(token) = env.secret(&format!("{prefix}_TOKEN"))?
        {
            *setting = token;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_environment_gives_overrides_and_the_rest_stays() {
        let env = Env::from_pairs([("X_URL", "http://env"), ("X_TOKEN", "t"), ("Y_USERNAME", "other")]);
        let (mut url, mut username) = ("http://file".to_owned(), Some("file".to_owned()));
        let (mut password, mut token) = (Secret::from("file"), Secret::default());
        let access = Access {
            url: &mut url,
            username: &mut username,
            password: &mut password,
            token: Some(&mut token),
        };
        access.overlay(&env, "X").unwrap();
        assert_eq!((url.as_str(), username.as_deref()), ("http://env", Some("file")));
        assert_eq!((password.expose(), token.expose()), ("file", "t"));
    }
}
